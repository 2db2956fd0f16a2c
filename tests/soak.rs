//! Memory, open files and time over many updates: whatever grows with the number of updates would end a long run.
//!
//! In the suite these are some hundred updates; `VELOGRAD_SOAK=N` makes N times as many, which `scripts/soak.sh` does.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use pollster::block_on;
use velograd::{
    data::{Dataset, Shapes10, Sizes},
    device::Gpu,
    error::Result,
    models::resnet::{self, Stem},
    training::{EpochRow, Options, StepRow, Watch, weights::Weights},
};

use crate::support::gpu;

/// What must not grow.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Resident bytes of the process; 0 if the system does not report them.
    resident: u64,
    /// Bytes of the device's buffers.
    device: u64,
    /// Open files.
    files: usize,
    /// The median time of an update since the last sample.
    update: Duration,
}

struct Meter<'a> {
    gpu: &'a Gpu,
    every: u64,
    updates: u64,
    last: Instant,
    times: Vec<Duration>,
    samples: Vec<Sample>,
}

impl<'a> Meter<'a> {
    fn new(gpu: &'a Gpu, every: u64) -> Self {
        Self { gpu, every, updates: 0, last: Instant::now(), times: vec![], samples: vec![] }
    }

    fn sample(&mut self) {
        let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages: u64 = statm.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        self.times.sort();
        self.samples.push(Sample {
            resident: 4096 * pages,
            device: self.gpu.allocated_bytes().unwrap_or(0),
            files: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            update: self.times[self.times.len() / 2],
        });
        self.times.clear();
    }

    /// Compares the last quarter with the second, since the first warms up. Memory and files are compared only if no
    /// other test runs in this process (`alone`).
    fn judge(&self, name: &str, alone: bool) {
        let quarter = self.samples.len() / 4;
        assert!(quarter > 0, "{name}: {} samples", self.samples.len());
        let largest =
            |of: fn(&Sample) -> u64, from: usize| self.samples[from..from + quarter].iter().map(of).max().unwrap();
        let (early, late) = (quarter, self.samples.len() - quarter);
        let median = |from: usize| {
            let mut times: Vec<_> = self.samples[from..from + quarter].iter().map(|s| s.update).collect();
            times.sort();
            times[quarter / 2]
        };
        let compare = |of: fn(&Sample) -> u64| (largest(of, early), largest(of, late));
        let (resident, device, files) = (compare(|s| s.resident), compare(|s| s.device), compare(|s| s.files as u64));
        println!(
            "{name}: {} updates; resident {} -> {}, device {} -> {}, files {} -> {}, update {:.3?} -> {:.3?}",
            self.updates,
            resident.0,
            resident.1,
            device.0,
            device.1,
            files.0,
            files.1,
            median(early),
            median(late)
        );
        if alone {
            // An allocator keeps what was once in use: it may do so with 4 MiB, far less than a leak would take in the
            // long form.
            assert!(resident.1 <= resident.0 + (4 << 20), "{name}: the process grows: {resident:?}");
            assert!(device.1 <= device.0, "{name}: the device's memory grows: {device:?}");
            assert!(files.1 <= files.0, "{name}: open files grow: {files:?}");
        }
    }
}

impl Watch for Meter<'_> {
    fn step(&mut self, row: &StepRow, _: u64, _: u64, _: u64) -> Result<()> {
        assert!(row.loss.is_finite() && !row.skipped, "{row:?}");
        self.updates += 1;
        self.times.push(self.last.elapsed());
        self.last = Instant::now();
        if self.updates.is_multiple_of(self.every) {
            self.sample();
        }
        Ok(())
    }

    fn epoch(&mut self, _: &EpochRow) -> Result<()> {
        self.last = Instant::now();
        Ok(())
    }
}

fn soak(name: &str, width: u32, sizes: Sizes, batch: u32, epochs: u32, alone: bool) {
    let Some(gpu) = gpu() else { return };
    let config = resnet::config(Stem::Imagenet, width, 10);
    let set = vec![("lr".into(), "1e-4".into())];
    let options = Options { config, set, epochs, batch, accumulate: 1, seed: 1, ..Options::default() };
    let data: Arc<dyn Dataset> = Arc::new(Shapes10::new(1, sizes).unwrap());
    let updates = u64::from(epochs) * (sizes.train as u64).div_ceil(u64::from(batch));
    let mut trainer = crate::support::trainer(gpu, data, options, |layout| Ok(Weights::init(layout, 1))).unwrap();
    let mut meter = Meter::new(gpu, (updates / 16).max(1));
    block_on(trainer.run(&mut meter)).unwrap();
    assert_eq!(meter.updates, updates);
    meter.judge(name, alone);
}

/// How often the short form is repeated, and whether this process runs nothing else.
fn times() -> (u32, bool) {
    let times = std::env::var("VELOGRAD_SOAK").ok().and_then(|text| text.parse().ok());
    (times.unwrap_or(1), times.is_some())
}

/// Many short epochs show what an epoch leaves behind.
#[test]
fn epochs_leave_nothing() {
    let (times, alone) = times();
    soak("epochs", 2, Sizes { train: 12, test: 4 }, 8, 20 * times, alone);
}

/// Many updates show what an update leaves behind.
#[test]
fn updates_leave_nothing() {
    let (times, alone) = times();
    soak("updates", 8, Sizes { train: 160, test: 16 }, 16, 4 * times, alone);
}
