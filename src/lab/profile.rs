//! Where the time of an update goes: the time and work of every dispatch, and what the device could have done in that
//! time.

mod memory;
mod trace;

pub use memory::memory;
pub use trace::chrome_trace;

use crate::{
    device::{runtime::Runtime, timing::dispatch_seconds},
    error::{Error, Result},
    lab::{ceilings::Ceilings, table::Table},
    program::Recording,
};

/// One dispatch of an update.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its part of the update: forward, backward or optimizer.
    pub part: &'static str,
    /// The path of the kernel.
    pub kernel: String,
    /// The kernel and its options.
    pub form: String,
    /// The place in the network.
    pub label: String,
    /// Device time in seconds, the smallest of the rounds.
    pub seconds: f64,
    /// Floating-point operations, or 0 if they are not counted.
    pub flop: f64,
    /// Bytes that it has to move at least.
    pub bytes: f64,
}

/// The dispatches of an update with their times.
pub struct Profile {
    /// The dispatches, in order.
    pub events: Vec<Event>,
    /// What the device can do.
    pub ceilings: Ceilings,
}

impl Profile {
    /// Times each dispatch of the recorded programs of one batch (index 0) and of the update (index `update`), `rounds`
    /// times.
    ///
    /// # Errors
    /// [`Error::Device`] if the device has no timestamps, or on a fault.
    pub async fn new(
        runtime: &Runtime,
        batch: &Recording,
        [update, rounds]: [usize; 2],
        optimizer: &Recording,
    ) -> Result<Self> {
        let mut events = Vec::new();
        for (program, recording) in [(0, batch), (update, optimizer)] {
            let mut best = vec![f64::INFINITY; recording.calls.len()];
            for _ in 0..rounds.max(1) {
                let Some(seconds) = dispatch_seconds(runtime, program).await? else {
                    let message = format!("{} has no timestamps", runtime.gpu.info.name);
                    return Err(Error::device(message, "velograd bench times whole updates"));
                };
                best.iter_mut().zip(seconds).for_each(|(best, now)| *best = best.min(now));
            }
            for (nth, (call, seconds)) in recording.calls.iter().zip(best).enumerate() {
                let part = match program {
                    0 if nth < recording.forward_calls => "forward",
                    0 => "backward",
                    _ => "optimizer",
                };
                events.push(Event {
                    part,
                    kernel: call.spec.path.to_string(),
                    form: call.spec.to_string(),
                    label: call.label.clone(),
                    seconds,
                    flop: call.flop,
                    bytes: recording.moved_bytes(call) as f64,
                });
            }
        }
        Ok(Self { events, ceilings: Ceilings::measure(&runtime.gpu).await? })
    }

    /// Seconds of all dispatches together.
    pub fn seconds(&self) -> f64 {
        self.events.iter().map(|e| e.seconds).sum()
    }

    /// The least time in seconds that the device's ceilings allow for all dispatches, one after the other.
    pub fn floor(&self) -> f64 {
        self.events.iter().map(|e| self.ceilings.floor(e.bytes, e.flop)).sum()
    }

    /// A row per kernel, the one with the most time first: calls, milliseconds, share of the update, GFLOP/s, GB/s, and
    /// the fraction of the ceiling, which is the least time that the kernel's bytes and operations need divided by the
    /// time it took.
    pub fn table(&self) -> Table {
        let mut kernels: Vec<&str> = self.events.iter().map(|e| e.kernel.as_str()).collect();
        kernels.sort_unstable();
        kernels.dedup();
        let total = self.seconds();
        let mut rows: Vec<(f64, Vec<String>)> =
            kernels.into_iter().map(|kernel| self.row(kernel, Some(kernel), total)).collect();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        rows.push(self.row("all", None, total));
        let header = ["kernel", "calls", "ms", "share", "GFLOP/s", "GB/s", "of ceiling"];
        Table { header: header.map(str::to_owned).to_vec(), rows: rows.into_iter().map(|(_, row)| row).collect() }
    }

    fn row(&self, name: &str, kernel: Option<&str>, total: f64) -> (f64, Vec<String>) {
        let events: Vec<&Event> = self.events.iter().filter(|e| kernel.is_none_or(|k| e.kernel == k)).collect();
        let sum = |of: fn(&Event) -> f64| events.iter().map(|e| of(e)).sum::<f64>();
        let (seconds, flop, bytes) = (sum(|e| e.seconds), sum(|e| e.flop), sum(|e| e.bytes));
        let floor: f64 = events.iter().map(|e| self.ceilings.floor(e.bytes, e.flop)).sum();
        let cells = vec![
            name.to_owned(),
            events.len().to_string(),
            format!("{:.3}", 1e3 * seconds),
            format!("{:.1} %", 100.0 * seconds / total),
            if flop > 0.0 { format!("{:.1}", flop / seconds / 1e9) } else { String::new() },
            format!("{:.2}", bytes / seconds / 1e9),
            format!("{:.0} %", 100.0 * floor / seconds),
        ];
        (seconds, cells)
    }

    /// A row per dispatch.
    pub fn csv(&self) -> String {
        let row = |event: &Event| {
            let Event { part, form, label, seconds, flop, bytes, .. } = event;
            let microseconds = format!("{:.2}", 1e6 * seconds);
            vec![
                part.to_string(),
                form.to_string(),
                label.to_string(),
                microseconds,
                flop.to_string(),
                bytes.to_string(),
            ]
        };
        let header = ["part", "kernel", "label", "microseconds", "flop", "bytes"].map(str::to_owned).to_vec();
        Table { header, rows: self.events.iter().map(row).collect() }.csv()
    }
}
