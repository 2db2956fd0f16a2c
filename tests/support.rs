//! What several tests share: one device for all, a batch, and who keeps what a run tells.

use std::sync::OnceLock;

use velograd::{
    data::{Batch, IMAGE_BYTES},
    error::Result,
    gpu::Gpu,
    random::Rng,
    train::{Checkpoint, EpochRow, Point, StepRow, Watch, Wish},
};

/// The device; where there is none a line says so and the test returns, unless VELOGRAD_REQUIRE_GPU=1.
pub fn gpu() -> Option<&'static Gpu> {
    static DEVICE: OnceLock<std::result::Result<Gpu, String>> = OnceLock::new();
    match DEVICE.get_or_init(|| Gpu::open(None).map_err(|fault| fault.to_string())) {
        Ok(gpu) => Some(gpu),
        Err(fault) => {
            let required = std::env::var("VELOGRAD_REQUIRE_GPU").is_ok_and(|value| value == "1");
            assert!(!required, "VELOGRAD_REQUIRE_GPU=1, and there is no adapter: {fault}");
            println!("skipped: no adapter: {fault}");
            None
        }
    }
}

/// Images of noise, of all ten classes.
pub fn noise(n: u32) -> Batch {
    let mut rng = Rng::new(5);
    let images = (0..n as usize * IMAGE_BYTES).map(|_| rng.u32() as u8).collect();
    Batch { images, labels: (0..n).map(|i| i % 10).collect(), indices: (0..n).collect() }
}

/// Keeps the rows; stops the run, and keeps its checkpoint, at the next point that `stop_at` names.
#[derive(Default)]
pub struct Rows<'a> {
    pub steps: Vec<StepRow>,
    pub epochs: Vec<EpochRow>,
    pub stop_at: Option<Box<dyn FnMut(Point) -> bool + 'a>>,
    pub taken: Option<Checkpoint>,
}

impl<'a> Rows<'a> {
    pub fn until(stop_at: impl FnMut(Point) -> bool + 'a) -> Self {
        Self { stop_at: Some(Box::new(stop_at)), ..Self::default() }
    }
}

impl Watch for Rows<'_> {
    fn step(&mut self, row: &StepRow, _: u64, _: u64, _: u64) -> Result<()> {
        self.steps.push(*row);
        Ok(())
    }

    fn epoch(&mut self, row: &EpochRow) -> Result<()> {
        self.epochs.push(*row);
        Ok(())
    }

    fn wish(&mut self, at: Point) -> Result<Wish> {
        let stops = self.stop_at.as_mut().is_some_and(|stop_at| stop_at(at));
        Ok(if stops { Wish::Stop } else { Wish::GoOn })
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.taken = Some(checkpoint);
        Ok(())
    }
}
