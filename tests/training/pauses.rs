//! Runs that pause, and go on.

use std::sync::Arc;

use pollster::block_on;
use velograd::{
    data::{Batch, Dataset, Shapes10, Sizes, Split},
    error::Result,
    training::{After, EpochRow, Point, Request, StepRow, Watch, weights::Weights},
};

use super::{options, tiny};
use crate::support::{Rows, gpu};

/// Pauses wherever a run can.
#[derive(Default)]
struct Pausing<'a> {
    rows: Rows<'a>,
    pauses: u32,
}

impl Watch for Pausing<'_> {
    fn step(&mut self, row: &StepRow, done: u64, total: u64, hits: u64) -> Result<()> {
        self.rows.step(row, done, total, hits)
    }

    fn epoch(&mut self, row: &EpochRow) -> Result<()> {
        self.rows.epoch(row)
    }

    fn request(&mut self, at: Point) -> Result<Request> {
        let pauses = at.after != After::Run;
        self.pauses += u32::from(pauses);
        Ok(if pauses { Request::Pause } else { Request::Continue })
    }
}

/// A run that is paused again and again, with an evaluation in each pause as a page makes it, has the same bits as one that is not.
#[test]
fn pauses_change_nothing() {
    let Some(gpu) = gpu() else { return };
    let data: Arc<dyn Dataset> = Arc::new(Shapes10::new(1, Sizes { train: 300, test: 50 }).unwrap());
    let new = || {
        let init = |layout: &_| Ok(Weights::init(layout, 3));
        crate::support::trainer(gpu, data.clone(), options(tiny()), init).unwrap()
    };
    let (mut whole, mut rows) = (new(), Rows::default());
    block_on(whole.run(&mut rows)).unwrap();
    let (mut paused, mut watch) = (new(), Pausing::default());
    loop {
        block_on(paused.run(&mut watch)).unwrap();
        if !paused.stopped() {
            break;
        }
        let images: Vec<u32> = (0..paused.network.evaluation_batch() as u32).collect();
        paused.network.evaluate(&Batch::read(data.as_ref(), Split::Test, &images).unwrap(), true).unwrap();
        block_on(paused.network.drain()).unwrap();
    }
    let losses = |rows: &Rows<'_>| rows.steps.iter().map(|row| row.loss.to_bits()).collect::<Vec<_>>();
    assert_eq!(losses(&rows), losses(&watch.rows));
    let validation = |rows: &Rows<'_>| rows.epochs.iter().map(|row| row.val_loss).collect::<Vec<_>>();
    assert_eq!(validation(&rows), validation(&watch.rows));
    assert!(watch.pauses > 3, "{} pauses", watch.pauses);
    assert!(block_on(whole.network.weights()).unwrap() == block_on(paused.network.weights()).unwrap());
}
