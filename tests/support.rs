//! What several tests share: one device for all, and who keeps what a run tells.

use std::sync::OnceLock;

use velograd::{
    device::Gpu,
    error::Result,
    training::{Checkpoint, EpochRow, Point, StepRow, Watch, Wish},
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
