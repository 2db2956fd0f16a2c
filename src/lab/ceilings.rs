//! What a device can do at most, as measured: the rates with which a kernel is compared.

use web_time::Instant;

use crate::{
    device::{Gpu, runtime::Runtime, timing::program_seconds},
    error::{Error, Result},
    program::{BufferKind, Recording, Tape, target::Target},
};

/// Measured rates.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Ceilings {
    /// Bytes read and written per second by a kernel that copies vec4 by vec4.
    pub bytes_per_second: f64,
    /// Floating-point operations per second of f32 multiply-adds in registers, two per multiply-add.
    pub flop_per_second: f64,
    /// Seconds from one dispatch to the next in one pass, if the dispatches do almost nothing.
    pub dispatch_seconds: f64,
}

/// Bytes of the copied buffer: more than caches hold, and less than any device's binding limit.
const COPY_BYTES: u32 = 64 << 20;

/// Workgroups of 64 invocations that multiply and add, and operations per invocation and turn.
const FMA_GROUPS: u32 = 4096;
const FMA_PER_TURN: f64 = 1024.0;

/// The number of dispatches by which the time of one is measured.
const DISPATCHES: u32 = 256;

/// Rounds of each measurement; the fastest counts.
const ROUNDS: usize = 5;

impl Ceilings {
    /// Measures the rates, in about a second on a software device and a few milliseconds on a GPU.
    ///
    /// # Errors
    /// A fault of the device, or [`Error::Device`] if it copies wrongly.
    pub async fn measure(gpu: &Gpu) -> Result<Self> {
        // On a GPU more turns take hardly any time; on two cores they would take seconds.
        let turns = if gpu.info.is_software() { 16 } else { 512 };
        let recordings = recordings(&gpu.target, turns);
        let runtime = Runtime::new(gpu, &recordings, true).await?;
        let source: Vec<u32> = (0..COPY_BYTES / 4).collect();
        runtime.write(runtime.buffer(&BufferKind::scratch("source")), &source);
        let mut best = [f64::INFINITY; 3];
        for _ in 0..ROUNDS {
            let start = Instant::now();
            runtime.run(&[2]).await?;
            let dispatches = start.elapsed().as_secs_f64();
            let now = [program_seconds(&runtime, 0).await?, program_seconds(&runtime, 1).await?, dispatches];
            best.iter_mut().zip(now).for_each(|(best, now)| *best = best.min(now));
        }
        if runtime.read::<u32>(runtime.buffer(&BufferKind::scratch("copy")), source.len()).await? != source {
            return Err(Error::device(format!("{}: a copy differs from its source", gpu.info.name), ""));
        }
        let flop = f64::from(FMA_GROUPS) * 64.0 * f64::from(turns) * FMA_PER_TURN;
        Ok(Self {
            bytes_per_second: 2.0 * f64::from(COPY_BYTES) / best[0],
            flop_per_second: flop / best[1],
            dispatch_seconds: best[2] / f64::from(DISPATCHES),
        })
    }

    /// The least time in seconds that moving `bytes` and computing `flop` can take.
    pub fn floor(&self, bytes: f64, flop: f64) -> f64 {
        (bytes / self.bytes_per_second).max(flop / self.flop_per_second)
    }
}

/// The three measurements: a long copy, `turns` of multiply-adds, and many short copies.
pub fn recordings(target: &Target, turns: u32) -> [Recording; 3] {
    [copy(target, 1, COPY_BYTES / 16), fma(target, turns), copy(target, DISPATCHES, 256)]
}

fn copy(target: &Target, times: u32, len4: u32) -> Recording {
    let mut t = Tape::new(target, true);
    let buffers = ["source", "copy"].map(|name| t.buffer(BufferKind::scratch(name), 16 * u64::from(len4)));
    for _ in 0..times {
        let [source, copy] = buffers;
        t.call("bench/copy").size("len4", len4).read(source).write(copy).groups(len4.div_ceil(256));
    }
    t.finish()
}

fn fma(target: &Target, turns: u32) -> Recording {
    let mut t = Tape::new(target, true);
    let sums = t.buffer(BufferKind::scratch("sums"), 16 * 64 * u64::from(FMA_GROUPS));
    // The fixed point of x -> x/2 + 1 is 2: nothing overflows, however many turns.
    let call = t.call("bench/fma").size("turns", turns).size("factor", 0.5_f32).size("summand", 1.0_f32);
    call.write(sums).groups(FMA_GROUPS);
    t.finish()
}
