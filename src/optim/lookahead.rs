//! Lookahead around any update rule: one more dispatch, and one more word of state per parameter.

use std::{fmt, str::FromStr};

use super::{Optimizer, Start, Trial, arena, report, state};
use crate::{
    error::{Error, Result},
    program::{BufferKind, Tape, params::Layout},
};

/// Every `k` updates the slow weights move by `alpha` towards the fast ones, which restart from there (Zhang, Lucas,
/// Hinton, Ba 2019, "Lookahead Optimizer: k steps forward, 1 step back", Algorithm 1). The rule's own state stays as it
/// is; skipped updates do not count.
///
/// Written `K,ALPHA`:
///
/// ```
/// use velograd::optim::Lookahead;
/// assert_eq!("5,0.5".parse::<Lookahead>().unwrap(), Lookahead { k: 5, alpha: 0.5 });
/// assert!("0,0.5".parse::<Lookahead>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lookahead {
    /// Number of updates from one move of the slow weights to the next, at least 1.
    pub k: u32,
    /// Step size of the slow weights, from 0 to 1; with 1, Lookahead changes nothing.
    pub alpha: f64,
}

impl FromStr for Lookahead {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once(',').and_then(|(k, alpha)| {
            let k = k.trim().parse().ok().filter(|&k| k > 0)?;
            let alpha = alpha.trim().parse().ok().filter(|alpha| (0.0..=1.0).contains(alpha))?;
            Some(Self { k, alpha })
        });
        parsed.ok_or_else(|| {
            let message =
                format!("lookahead `{text}`: expected K,ALPHA, a whole number of at least 1 and a number from 0 to 1");
            Error::config(message, "the paper's CIFAR-10 setting is 5,0.5")
        })
    }
}

impl fmt::Display for Lookahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.k, self.alpha)
    }
}

impl Lookahead {
    /// Wraps `inner` in Lookahead.
    pub fn around(self, inner: Box<dyn Optimizer>) -> Box<dyn Optimizer> {
        Box::new(Around { inner, lookahead: self })
    }
}

struct Around {
    inner: Box<dyn Optimizer>,
    lookahead: Lookahead,
}

/// Name of the slow weights in the state. VeloGrad has slow weights of its own under another name.
pub(super) const SLOW: &str = "lookahead_slow";

impl Optimizer for Around {
    fn state(&self) -> Vec<(String, Start)> {
        let mut state = self.inner.state();
        state.push((SLOW.to_owned(), Start::Params));
        state
    }

    fn words(&self) -> usize {
        self.inner.words() + 1
    }

    fn record(&self, t: &mut Tape) {
        self.inner.record(t);
        let len4 = t.layout().param_floats() / 4;
        let (report, params, slow) = (report(t), arena(t, BufferKind::Params), state(t, SLOW));
        let call = t.call("optim/lookahead").size("len4", len4).size("k", self.lookahead.k);
        let call = call.size("alpha", self.lookahead.alpha as f32);
        call.read(report).write(params).write(slow).groups(len4.div_ceil(256));
    }

    fn scalars(&self, t: u64) -> [f64; 4] {
        self.inner.scalars(t)
    }

    fn tables(&self, layout: &Layout) -> Vec<(&'static str, Vec<u32>)> {
        self.inner.tables(layout)
    }

    fn record_evaluation(&self, t: &mut Tape) {
        self.inner.record_evaluation(t);
    }

    fn trials(&self) -> Vec<Trial> {
        self.inner.trials()
    }

    fn clip_norm(&self) -> Option<f64> {
        self.inner.clip_norm()
    }

    fn lr(&self) -> f64 {
        self.inner.lr()
    }
}
