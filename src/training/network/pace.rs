//! How much work goes into one submission.
//!
//! Systems reset a device that is kept busy too long: Windows after two seconds, some Linux drivers after ten. On any
//! usual GPU a batch takes a small part of that and is one submission. Where it would take too long, it is split into
//! several, between which the system can use the device. The first batch is split finely, because nothing is known
//! about the device yet.

use crate::device::{
    Info,
    runtime::{Runtime, Stretch},
};

/// The time in seconds that a submission should not exceed on a GPU: a quarter of what Windows allows.
const LONGEST: f64 = 0.5;

/// The number of submissions that the first batch is split into.
const FIRST: f64 = 16.0;

pub(super) struct Pace {
    /// The time in seconds that a submission should not exceed.
    longest: f64,
    /// Seconds per unit of work, as last measured.
    seconds: Option<f64>,
}

impl Pace {
    pub(super) fn new(longest: f64) -> Self {
        Self { longest, seconds: None }
    }

    pub(super) fn of(info: &Info) -> Self {
        Self::new(if info.is_software() { f64::INFINITY } else { LONGEST })
    }

    /// Whether the time that work takes is known, or does not matter.
    pub(super) fn is_known(&self) -> bool {
        self.longest.is_infinite() || self.seconds.is_some()
    }

    /// Splits work into what goes into each submission.
    pub(super) fn parts(&self, runtime: &Runtime, work: &[Stretch]) -> Vec<Vec<Stretch>> {
        let all = total(runtime, work);
        let most = match self.seconds {
            _ if self.longest.is_infinite() => all,
            None => all / FIRST,
            Some(seconds) => self.longest / seconds,
        };
        let (mut parts, mut sum) = (vec![vec![]], 0.0);
        for (program, range) in work {
            let mut from = range.start;
            for at in range.clone() {
                let work = runtime.dispatches(*program)[at].work;
                if sum > 0.0 && sum + work > most && all > most {
                    push(&mut parts, (*program, from..at));
                    parts.push(vec![]);
                    (from, sum) = (at, 0.0);
                }
                sum += work;
            }
            push(&mut parts, (*program, from..range.end));
        }
        parts
    }

    /// Records how long some work took.
    pub(super) fn measured(&mut self, runtime: &Runtime, work: &[Stretch], seconds: f64) {
        self.seconds = Some(seconds / total(runtime, work));
    }

    /// Describes the work and its heaviest dispatch, for errors.
    pub(super) fn describe(&self, runtime: &Runtime, work: &[Stretch], samples: usize, unit: &str) -> String {
        let dispatches = || work.iter().flat_map(|(program, range)| &runtime.dispatches(*program)[range.clone()]);
        let Some(heaviest) = dispatches().max_by(|a, b| a.work.total_cmp(&b.work)) else { return String::new() };
        let place = if heaviest.label.is_empty() { String::new() } else { format!(" of {}", heaviest.label) };
        let time = self.seconds.map_or(String::new(), |s| format!(", about {:.3} s", s * heaviest.work));
        format!(
            "a batch of {samples} {unit} in {} dispatches; the heaviest is {}{place}{time}",
            dispatches().count(),
            heaviest.kernel(),
        )
    }
}

fn push(parts: &mut [Vec<Stretch>], stretch: Stretch) {
    if !stretch.1.is_empty() {
        parts.last_mut().expect("there is a first").push(stretch);
    }
}

fn total(runtime: &Runtime, work: &[Stretch]) -> f64 {
    let of =
        |(program, range): &Stretch| runtime.dispatches(*program)[range.clone()].iter().map(|d| d.work).sum::<f64>();
    work.iter().map(of).sum()
}
