//! How a run looks: a live bar on a terminal, plain lines elsewhere, one line per epoch in both.

use std::{
    io::{IsTerminal as _, Write as _, stderr, stdout},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::print::{self, Level, note};
use crate::{
    error::Result,
    training::{EpochRow, Options, Position, StepRow, Watch},
};

/// Without a terminal, a line at the first update and then about this often.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// A line on a terminal that counts compiled kernels, and is gone when they are done.
pub(super) fn compiling(done: usize, total: usize) {
    let mut terminal = stderr().lock();
    if !terminal.is_terminal() || !print::says(Level::Usual) {
        return;
    }
    let line = if done < total { format!("\rcompiling kernels: {done}/{total} ") } else { format!("\r{:40}\r", "") };
    let _ = terminal.write_all(line.as_bytes()).and_then(|()| terminal.flush());
}

pub(super) struct Progress {
    bar: Option<ProgressBar>,
    epochs: u32,
    /// Images that are trained on in an epoch.
    train: u64,
    /// Images the run will see, as far as is known now.
    images: u64,
    /// Images that another process has seen.
    resumed: u64,
    start: Instant,
    printed: Option<Instant>,
}

impl Progress {
    pub(super) fn new(options: &Options, train: usize) -> Self {
        let train = options.cut(train).trained() as u64;
        let of_epochs = u64::from(options.epochs) * train;
        let update = u64::from(options.batch) * u64::from(options.accumulate);
        let images = options.max_steps.map_or(of_epochs, |n| of_epochs.min(n.saturating_mul(update)));
        let bar = (stderr().is_terminal() && print::says(Level::Usual)).then(|| {
            let bar = ProgressBar::with_draw_target(Some(images), ProgressDrawTarget::stderr_with_hz(5));
            let style = "{prefix} {bar:16.cyan/blue} {msg} {eta} left";
            bar.set_style(ProgressStyle::with_template(style).expect("a valid template").progress_chars("█▉▊▋▌▍▎▏ "));
            bar
        });
        Self { bar, epochs: options.epochs, train, images, resumed: 0, start: Instant::now(), printed: None }
    }

    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note!("{line}")),
            None => note!("{line}"),
        }
        let _ = stdout().flush();
    }
}

impl Watch for Progress {
    fn step(&mut self, row: &StepRow, images: u64, total: u64, hits: u64) -> Result<()> {
        let done = u64::from(row.epoch - 1) * self.train + images;
        let rate = (done - self.resumed) as f64 / self.start.elapsed().as_secs_f64();
        let accuracy = 100.0 * hits as f64 / images as f64;
        let note = match (row.skipped, row.scale) {
            (false, _) => String::new(),
            (true, Some(scale)) if row.loss.is_finite() => format!("  overflow at scale {scale}, skipped"),
            (true, _) => "  NOT FINITE, skipped".to_owned(),
        };
        let state = format!("{rate:.0} images/s  loss {:.4}  accuracy {accuracy:.1} %{note}", row.loss);
        if let Some(bar) = &self.bar {
            bar.set_prefix(format!("epoch {}/{} step {}", row.epoch, self.epochs, row.step));
            bar.set_position(done);
            bar.set_message(state);
        } else if row.skipped || self.printed.is_none_or(|at| at.elapsed() >= PLAIN_EVERY) {
            let left = (self.images.saturating_sub(done)) as f64 / rate;
            note!(
                "epoch {}/{} step {} ({images}/{total})  {state}  {left:.0} s left",
                row.epoch,
                self.epochs,
                row.step
            );
            let _ = stdout().flush();
            self.printed = Some(Instant::now());
        }
        Ok(())
    }

    fn epoch(&mut self, row: &EpochRow) -> Result<()> {
        let validation = match (row.val_loss, row.val_acc) {
            (Some(loss), Some(accuracy)) => format!("validation loss {loss:.4}  accuracy {accuracy:.2} %"),
            _ => "no validation".into(),
        };
        let line = format!(
            "epoch {:>2}/{}  training loss {:.4}  accuracy {:.2} %  {validation}  {:.1} s  {:.0} images/s",
            row.epoch, self.epochs, row.train_loss, row.train_acc, row.seconds, row.images_per_second
        );
        self.line(&line);
        Ok(())
    }

    fn resumed(&mut self, position: &Position) {
        self.resumed = position.epochs.len() as u64 * self.train + position.tally.images;
    }

    fn remark(&mut self, text: &str) {
        self.line(text);
    }
}
