//! Shows the progress of a run: a live line on a terminal, plain lines elsewhere, one line per epoch in both.

mod line;

use std::{
    cell::RefCell,
    io::{Write as _, stdout},
    rc::Rc,
    time::{Duration, Instant},
};

use super::{live, print::note};
use crate::{
    data::Input,
    error::Result,
    training::{EpochRow, Options, Position, Score, StepRow, Watch},
};
use line::{Parts, rate, short};

/// Up to so many classes, the five likeliest are no result.
pub(super) const FEW_CLASSES: u32 = 10;

/// Without a terminal, a line is printed at the first update and then about this often.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Shows the number of compiled kernels in the live line.
pub(super) fn compiling(done: usize, total: usize) {
    live::show(format!("compiling kernels: {done} of {total}"));
}

/// Counts the runs of an experiment, which are made one after another.
#[derive(Clone, Default)]
pub(super) struct Runs(Rc<RefCell<Count>>);

#[derive(Default)]
struct Count {
    /// Number of all runs.
    all: usize,
    /// Number of the current run, from 1.
    nth: usize,
    /// When it started in this process.
    begun: Option<Instant>,
    /// Seconds of each run that this process has made, including its preparation.
    made: Vec<f64>,
}

impl Count {
    /// Estimated seconds of the runs after the current one, if each takes the mean of those made so far, or `otherwise`
    /// if there are none.
    fn later(&self, otherwise: Option<f64>) -> Option<f64> {
        let made = (!self.made.is_empty()).then(|| self.made.iter().sum::<f64>() / self.made.len() as f64);
        Some(made.or(otherwise)? * self.to_come() as f64)
    }

    fn to_come(&self) -> usize {
        self.all - self.nth.min(self.all)
    }
}

impl Runs {
    /// An experiment of `all` runs.
    pub(super) fn new(all: usize) -> Self {
        Self(Rc::new(RefCell::new(Count { all, ..Count::default() })))
    }

    /// Counts the next run, which starts now (`begins`) or was made before. Returns its place, as in `run 3 of 6`.
    pub(super) fn next(&self, begins: bool) -> String {
        let mut count = self.0.borrow_mut();
        count.nth += 1;
        count.begun = begins.then(Instant::now);
        format!("run {} of {}", count.nth, count.all)
    }

    /// Counts the current run as ended, and prints how much time the others will take.
    pub(super) fn ended(&self) {
        let mut count = self.0.borrow_mut();
        let seconds = count.begun.take().map(|begun| begun.elapsed().as_secs_f64());
        count.made.extend(seconds);
        if let Some(seconds) = count.later(None).filter(|_| count.to_come() > 0) {
            note!("{} of {} runs have ended, about {} left", count.nth, count.all, in_words(seconds));
        }
    }

    /// Estimated seconds of the runs after this one; `this` is that of this run.
    fn later(&self, this: f64) -> f64 {
        self.0.borrow().later(Some(this)).unwrap_or(0.0)
    }

    fn place(&self) -> String {
        let count = self.0.borrow();
        format!("run {}/{}", count.nth, count.all)
    }
}

/// Times that this process has measured, from which the time left is estimated. The first update is left out, since
/// kernels and caches are cold then.
#[derive(Default)]
struct Pace {
    /// When the last update or evaluation ended.
    last: Option<Instant>,
    /// Seconds of training, and the images trained on in them.
    training: (f64, u64),
    /// Seconds of evaluation, and how many evaluations.
    evaluation: (f64, u32),
}

impl Pace {
    /// Adds an update of `images` images that has ended.
    fn update(&mut self, images: u64, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            self.training.0 += (now - last).as_secs_f64();
            self.training.1 += images;
        }
    }

    /// Adds an epoch's evaluation that has ended.
    fn evaluated(&mut self, now: Instant) {
        if let Some(last) = self.last.replace(now) {
            self.evaluation.0 += (now - last).as_secs_f64();
            self.evaluation.1 += 1;
        }
    }

    /// Training images per second.
    fn rate(&self) -> Option<f64> {
        let (seconds, images) = self.training;
        (images > 0 && seconds > 0.0).then(|| images as f64 / seconds)
    }

    /// Estimated seconds of so many training images and evaluations.
    fn left(&self, images: u64, evaluations: u32) -> Option<f64> {
        let (seconds, count) = self.evaluation;
        let each = if count > 0 { seconds / f64::from(count) } else { 0.0 };
        Some(images as f64 / self.rate()? + each * f64::from(evaluations))
    }
}

pub(super) struct Progress {
    runs: Option<Runs>,
    epochs: u32,
    /// What samples are, and how many targets each has: images and tokens are counted by their targets.
    input: Input,
    /// What the run is judged by.
    score: Score,
    /// Whether there are so many classes that top-5 accuracy tells something.
    many: bool,
    /// Number of training images or tokens in an epoch, and of updates that they make.
    train: u64,
    updates: u64,
    validate_every: u32,
    /// Number of images or tokens that the run will train on, as far as is known now.
    images: u64,
    /// Number of images or tokens of the current epoch up to the last update.
    seen: u64,
    /// The current epoch, and its updates so far.
    epoch: (u32, u64),
    begun: Instant,
    pace: Pace,
    /// Tokens that the network sees for each of which it has a loss; 1 unless some are hidden.
    seen_to_counted: f64,
    printed: Option<Instant>,
}

impl Progress {
    pub(super) fn new(options: &Options, train: usize, score: Score) -> Self {
        let cut = options.cut(train);
        let input = options.config.input;
        let targets = u64::from(options.counted());
        let (train, updates) = (cut.trained() as u64 * targets, cut.updates() as u64);
        let of_epochs = u64::from(options.epochs) * train;
        let update = u64::from(options.batch) * u64::from(options.accumulate) * targets;
        let images = options.max_steps.map_or(of_epochs, |n| of_epochs.min(n.saturating_mul(update)));
        Self {
            runs: None,
            epochs: options.epochs,
            input,
            score,
            many: options.config.classes > FEW_CLASSES,
            train,
            updates,
            validate_every: options.validate_every,
            images,
            seen: 0,
            epoch: (1, 0),
            begun: Instant::now(),
            pace: Pace::default(),
            seen_to_counted: options.targets_per_counted(),
            printed: None,
        }
    }

    /// Makes this the progress of one of several runs, whose time it includes.
    pub(super) fn of(self, runs: &Runs) -> Self {
        Self { runs: Some(runs.clone()), ..self }
    }

    /// Estimated seconds to the end of this run and of those after it, once this process has made more than one update.
    fn left(&self, done: u64) -> Option<f64> {
        // Only the epochs that the run reaches count: it may end by its number of updates.
        let last = self.images.div_ceil(self.train.max(1)) as u32;
        let epochs = last.saturating_sub(self.epoch.0) + 1;
        let left = self.pace.left(self.images.saturating_sub(done), epochs.div_ceil(self.validate_every.max(1)))?;
        let later = self.runs.as_ref().map_or(0.0, |runs| runs.later(self.begun.elapsed().as_secs_f64() + left));
        Some(left + later)
    }
}

impl Watch for Progress {
    fn step(&mut self, row: &StepRow, images: u64, _: u64, hits: u64) -> Result<()> {
        if self.epoch.0 != row.epoch {
            (self.epoch, self.seen) = ((row.epoch, 0), 0);
        }
        self.epoch.1 += 1;
        self.pace.update(images.saturating_sub(self.seen), Instant::now());
        self.seen = images;
        let done = u64::from(row.epoch - 1) * self.train + images;
        let notice = match (row.skipped, row.scale) {
            (false, _) => None,
            (true, Some(scale)) if row.loss.is_finite() => Some(format!("overflow at scale {scale}, skipped")),
            (true, _) => Some("NOT FINITE, skipped".to_owned()),
        };
        let parts = Parts {
            run: self.runs.as_ref().map(Runs::place),
            epoch: format!("epoch {}/{}", row.epoch, self.epochs),
            step: format!("step {}/{}", self.epoch.1, self.updates.max(self.epoch.1)),
            share: done as f64 / self.images.max(1) as f64,
            loss: format!("loss {:.4}", row.loss),
            accuracy: format!("{:.1} %", 100.0 * hits as f64 / images.max(1) as f64),
            lr: format!("lr {}", rate(row.lr)),
            images: self.pace.rate().map(|rate| {
                let seen = rate * self.seen_to_counted;
                format!("{seen:.0} {}/s", self.input.target_unit())
            }),
            left: self.left(done).map(|left| format!("{} left", short(left))),
            notice,
        };
        if live::is_seen() {
            live::show(parts.line(live::width()));
            return Ok(());
        }
        live::clear();
        if row.skipped || self.printed.is_none_or(|at| at.elapsed() >= PLAIN_EVERY) {
            note!("{}", parts.plain());
            let _ = stdout().flush();
            self.printed = Some(Instant::now());
        }
        Ok(())
    }

    fn evaluating(&mut self, done: u64, total: u64) {
        let run = self.runs.as_ref().map_or(String::new(), |runs| runs.place() + " ");
        let (epoch, unit) = (self.epoch.0, self.input.unit());
        live::show(format!("{run}epoch {epoch}/{} validation: {done} of {total} {unit}", self.epochs));
        if done == total && !live::is_seen() {
            live::clear();
        }
    }

    fn epoch(&mut self, row: &EpochRow) -> Result<()> {
        if row.val_loss.is_some() {
            self.pace.evaluated(Instant::now());
        }
        let reading = self.score.reading();
        let validation = match (row.val_loss, row.val_acc, reading) {
            (Some(loss), _, Some(reading)) => {
                format!("validation loss {loss:.4}  {} {}", reading.name, reading.text((reading.of)(row)))
            }
            (Some(loss), Some(accuracy), None) => {
                let top = row.val_top5.filter(|_| self.many).map_or(String::new(), |top| format!("  top-5 {top:.2} %"));
                format!("validation loss {loss:.4}  accuracy {accuracy:.2} %{top}")
            }
            _ => "no validation".into(),
        };
        let accuracy = if reading.is_none() { format!("  accuracy {:.2} %", row.train_acc) } else { String::new() };
        note!(
            "epoch {:>2}/{}  training loss {:.4}{accuracy}  {validation}  {:.1} s  {:.0} {}/s",
            row.epoch,
            self.epochs,
            row.train_loss,
            row.seconds,
            row.images_per_second,
            self.input.target_unit()
        );
        let _ = stdout().flush();
        Ok(())
    }

    fn resumed(&mut self, position: &Position) {
        self.seen = position.tally.images;
        let update = self.train.div_ceil(self.updates.max(1)).max(1);
        self.epoch = (position.epoch(), position.tally.images / update);
    }

    fn remark(&mut self, text: &str) {
        note!("{text}");
    }
}

/// A duration in words.
fn in_words(seconds: f64) -> String {
    let count = |number: f64, unit: &str| format!("{number:.0} {unit}{}", if number == 1.0 { "" } else { "s" });
    match seconds {
        s if s < 90.0 => count(s.round().max(1.0), "second"),
        s if s < 5400.0 => count((s / 60.0).round(), "minute"),
        s => format!("{:.1} hours", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data::Tokens, models, training::Per};

    /// The first update is slow and does not count; evaluation is timed separately.
    #[test]
    fn time_left_is_of_what_this_process_has_done() {
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut pace = Pace::default();
        pace.update(100, at(60.0));
        assert_eq!((pace.rate(), pace.left(100, 1)), (None, None));
        pace.update(100, at(61.0));
        pace.update(100, at(62.0));
        assert_eq!(pace.rate(), Some(100.0));
        assert_eq!(pace.left(1000, 1), Some(10.0));
        pace.evaluated(at(65.0));
        pace.update(100, at(66.0));
        assert_eq!(pace.left(1000, 2), Some(16.0));
    }

    /// A run that ends by its number of updates has only the evaluations of the epochs that it reaches.
    #[test]
    fn a_run_that_ends_early_has_fewer_evaluations() {
        let options = Options { epochs: 20, max_steps: Some(25), batch: 10, accumulate: 1, ..Options::default() };
        let mut progress = Progress::new(&options, 100, Score::Accuracy);
        progress.pace = Pace { last: None, training: (1.0, 10), evaluation: (100.0, 1) };
        // 250 images are two and a half epochs: three evaluations, at 100 seconds each.
        assert_eq!(progress.left(0), Some(25.0 + 300.0));
        progress.epoch = (3, 0);
        assert_eq!(progress.left(200), Some(5.0 + 100.0));

        // A hundred blocks of four tokens are 400 tokens; ten of them a second take four times as long.
        let set = [("block".to_owned(), "4".to_owned())];
        let config = models::find("gpt").unwrap().config(Tokens { length: 4, vocabulary: 5 }, 5, &set).unwrap();
        let mut progress = Progress::new(&Options { config, ..options }, 100, Score::Loss(Per::Token));
        progress.pace = Pace { last: None, training: (1.0, 10), evaluation: (100.0, 1) };
        assert_eq!(progress.left(0), Some(100.0 + 300.0));
    }

    #[test]
    fn durations_in_words() {
        assert_eq!([1.0, 45.0, 720.0, 7200.0].map(in_words), ["1 second", "45 seconds", "12 minutes", "2.0 hours"]);
    }
}
