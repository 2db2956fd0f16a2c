//! Learning-rate schedules: a factor on the base rate for every update.
//!
//! Updates are counted from 0. A warm-up of w updates comes before the schedule proper, which then runs over the rest.

use std::f64::consts::PI;

use crate::error::{Error, Result, suggest};

/// How the learning rate changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// It does not change.
    Constant,
    /// `gamma^floor(t / every)`: PyTorch's `StepLR`.
    Step {
        /// Updates between two drops.
        every: u64,
        /// The factor at each drop.
        gamma: f64,
    },
    /// `end + (1-end) * (1 + cos(pi t / T)) / 2`: Loshchilov and Hutter 2017; PyTorch's `CosineAnnealingLR` per update.
    Cosine {
        /// The factor at the end.
        end: f64,
    },
    /// Cosines of growing periods: SGDR, Loshchilov and Hutter 2017; PyTorch's `CosineAnnealingWarmRestarts`.
    CosineRestarts {
        /// Updates of the first period.
        period: u64,
        /// The factor on the length from one period to the next.
        mult: u64,
        /// The factor at the end of each period.
        end: f64,
    },
    /// A straight line from 1 to `end`, which it would reach one update after the last.
    Linear {
        /// The factor at the end.
        end: f64,
    },
    /// A straight line from `start` up to 1, at the share `peak` of the run, and another one down to `end`: Jordan's
    /// airbench.
    Triangle {
        /// The factor at the start.
        start: f64,
        /// The share of the run after which the factor is 1.
        peak: f64,
        /// The factor at the end.
        end: f64,
    },
}

/// A kind, and the updates of its warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// How the rate changes after the warm-up.
    pub kind: Kind,
    /// Updates of the warm-up, in which the rate rises linearly: the factor of update t is (t+1)/warmup.
    pub warmup: u64,
}

/// The names of the kinds, and the parameters that each takes.
pub const NAMES: [(&str, &str); 6] = [
    ("constant", ""),
    ("step", "every=UPDATES,gamma=0.1"),
    ("cosine", "end=0"),
    ("cosine-restarts", "period=UPDATES,mult=1,end=0"),
    ("linear", "end=0"),
    ("triangle", "start=0.2,peak=0.23,end=0.07"),
];

impl Schedule {
    /// A constant rate without warm-up.
    pub const CONSTANT: Self = Self { kind: Kind::Constant, warmup: 0 };

    /// Reads `NAME` or `NAME:KEY=VALUE,KEY=VALUE`, e.g. `step:every=1950,gamma=0.1`. Rates are factors of the base rate.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown name or key, a value out of its range, or one that is missing.
    pub fn parse(text: &str, warmup: u64) -> Result<Self> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let Some((name, takes)) = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
            let names = NAMES.map(|(name, _)| name);
            return Err(Error::config(format!("no schedule is called `{name}`"), suggest::hint(name, &names)));
        };
        let wrong = |what: String| Error::config(format!("schedule `{text}`: {what}"), format!("{name} takes {takes}"));
        let mut given = Vec::new();
        for pair in rest.split(',').filter(|p| !p.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| wrong(format!("`{pair}` is not KEY=VALUE")))?;
            if !takes.split(',').any(|t| t.split('=').next() == Some(key)) {
                return Err(wrong(format!("it has no `{key}`")));
            }
            let value: f64 = value.parse().map_err(|_| wrong(format!("{key}={value} is no number")))?;
            given.push((key, value));
        }
        let number = |key: &str, default: f64, low: f64, high: f64| {
            let value = given.iter().rev().find(|(k, _)| *k == key).map_or(default, |(_, v)| *v);
            let within = (low..=high).contains(&value);
            if within { Ok(value) } else { Err(wrong(format!("{key}={value} is not from {low} to {high}"))) }
        };
        let whole = |key: &str, default: f64| -> Result<u64> {
            let value = number(key, default, 1.0, 1e12).map_err(|_| wrong(format!("{key} is at least 1")))?;
            if value.fract() == 0.0 { Ok(value as u64) } else { Err(wrong(format!("{key}={value} is not whole"))) }
        };
        let kind = match *name {
            "step" => Kind::Step { every: whole("every", 0.0)?, gamma: number("gamma", 0.1, 0.0, 1.0)? },
            "cosine" => Kind::Cosine { end: number("end", 0.0, 0.0, 1.0)? },
            "cosine-restarts" => Kind::CosineRestarts {
                period: whole("period", 0.0)?,
                mult: whole("mult", 1.0)?,
                end: number("end", 0.0, 0.0, 1.0)?,
            },
            "linear" => Kind::Linear { end: number("end", 0.0, 0.0, 1.0)? },
            "triangle" => Kind::Triangle {
                start: number("start", 0.2, 0.0, 1.0)?,
                peak: number("peak", 0.23, 0.0, 1.0)?,
                end: number("end", 0.07, 0.0, 1.0)?,
            },
            _ => Kind::Constant,
        };
        Ok(Self { kind, warmup })
    }

    /// The factor of update `t` (from 0) of `total`.
    pub fn factor(&self, t: u64, total: u64) -> f64 {
        if t < self.warmup {
            return (t + 1) as f64 / self.warmup as f64;
        }
        let (t, total) = (t - self.warmup, total.saturating_sub(self.warmup).max(1));
        let share = (t as f64 / total as f64).min(1.0);
        let cosine = |share: f64, end: f64| end + (1.0 - end) * (1.0 + (PI * share).cos()) / 2.0;
        match self.kind {
            Kind::Constant => 1.0,
            Kind::Step { every, gamma } => gamma.powf((t / every) as f64),
            Kind::Cosine { end } => cosine(share, end),
            Kind::CosineRestarts { period, mult, end } => {
                let (mut since, mut period) = (t, period);
                while since >= period {
                    since -= period;
                    period = period.saturating_mul(mult);
                    if mult == 1 {
                        since %= period;
                    }
                }
                cosine(since as f64 / period as f64, end)
            }
            Kind::Linear { end } => end + (1.0 - end) * (1.0 - share),
            Kind::Triangle { start, peak, end } => {
                if share < peak {
                    start + (1.0 - start) * share / peak
                } else {
                    end + (1.0 - end) * (1.0 - share) / (1.0 - peak).max(f64::EPSILON)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    fn factors(text: &str, warmup: u64, total: u64) -> Vec<f64> {
        let schedule = Schedule::parse(text, warmup).unwrap();
        (0..total).map(|t| (schedule.factor(t, total) * 1e6).round() / 1e6).collect()
    }

    /// `torch.optim.lr_scheduler` with a base rate of 1, stepped per update: `CosineAnnealingLR(o, 4)`, `StepLR(o, 2, 0.1)`,
    /// `CosineAnnealingWarmRestarts(o, 2, 2)`.
    #[test]
    fn as_in_pytorch() {
        assert_eq!(factors("cosine", 0, 4), [1.0, 0.853553, 0.5, 0.146447]);
        assert_eq!(factors("step:every=2,gamma=0.1", 0, 5), [1.0, 1.0, 0.1, 0.1, 0.01]);
        let restarts = factors("cosine-restarts:period=2,mult=2", 0, 8);
        assert_eq!(restarts, [1.0, 0.5, 1.0, 0.853553, 0.5, 0.146447, 1.0, 0.96194]);
        assert_eq!(factors("cosine-restarts:period=2", 0, 5), [1.0, 0.5, 1.0, 0.5, 1.0]);
    }

    #[test]
    fn lines_and_warmup() {
        assert_eq!(factors("linear:end=0.2", 0, 4), [1.0, 0.8, 0.6, 0.4]);
        assert_eq!(factors("triangle:start=0,peak=0.5,end=0", 0, 4), [0.0, 0.5, 1.0, 0.5]);
        assert_eq!(factors("constant", 4, 6), [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
        assert_eq!(factors("linear", 2, 4), [0.5, 1.0, 1.0, 0.5]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let refused = |text: &str| Schedule::parse(text, 0).unwrap_err().to_string();
        assert!(refused("cosin").contains("did you mean `cosine`"));
        assert!(refused("step").contains("every is at least 1"));
        assert!(refused("cosine:end=2").contains("from 0 to 1"));
        assert!(refused("cosine:stop=0").contains("no `stop`"));
        assert!(refused("linear:end").contains("KEY=VALUE"));
        assert!(refused("step:every=1.5").contains("not whole"));
        assert!(refused("linear:end=nan").contains("from 0 to 1"));
    }
}
