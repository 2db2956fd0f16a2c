//! From values to positions: an axis's range, its ticks and their labels.

use super::Axis;

/// A range of values that is mapped to a range of positions.
pub(super) struct Scale {
    low: f64,
    high: f64,
    log: bool,
    from: f64,
    to: f64,
}

impl Scale {
    /// The axis for `values` from position `from` to position `to`, with `margin` of the range added at both ends.
    pub fn new(axis: &Axis, values: impl Iterator<Item = f64>, from: f64, to: f64, margin: f64) -> Self {
        let log = axis.log;
        let shown = values.filter(|v| shown(*v, log)).map(|v| if log { v.log10() } else { v });
        let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let (mut low, mut high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        // Values that are equal up to rounding lie in the middle of a range that suits their size.
        let least = if log { 0.1 } else { (low.abs().max(high.abs()) * 1e-6).max(f64::MIN_POSITIVE) };
        if high - low < least {
            let half = if log { 0.5 } else { (low.abs() * 0.05).max(least) };
            (low, high) = (low - half, high + half);
            if low == high {
                (low, high) = (-1.0, 1.0);
            }
        }
        let more = (high - low) * margin;
        Self { low: low - more, high: high + more, log, from, to }
    }

    /// Whether a value can be shown.
    pub fn shows(&self, value: f64) -> bool {
        shown(value, self.log)
    }

    /// The position of a value that can be shown.
    pub fn at(&self, value: f64) -> f64 {
        let value = if self.log { value.log10() } else { value };
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// About `count` round values within the range, with their labels.
    pub fn ticks(&self, count: usize, whole: bool) -> Vec<(f64, String)> {
        if !self.log {
            return linear_ticks(self.low, self.high, count, if whole { 1.0 } else { 0.0 });
        }
        let (first, last) = (self.low.ceil() as i32, self.high.floor() as i32);
        let decades = last - first + 1;
        if decades >= 2 {
            let every = (decades as usize).div_ceil(count).max(1);
            let powers = (first..=last).filter(|p| p.rem_euclid(every as i32) == 0);
            return powers.map(|p| (10_f64.powi(p), power(p))).collect();
        }
        // A range of less than two powers of ten gets linear ticks, at their logarithmic positions.
        let ticks = linear_ticks(10_f64.powf(self.low), 10_f64.powf(self.high), count, 0.0);
        ticks.into_iter().filter(|(v, _)| *v > 0.0).collect()
    }
}

fn shown(value: f64, log: bool) -> bool {
    value.is_finite() && value.abs() < 1e300 && (!log || value > 0.0)
}

fn power(p: i32) -> String {
    if (-3..=4).contains(&p) { 10_f64.powi(p).to_string() } else { format!("1e{p}") }
}

/// About `count` multiples of 1, 2 or 5 times a power of ten from `low` to `high`, at least `least` apart, with their
/// labels.
pub(crate) fn linear_ticks(low: f64, high: f64, count: usize, least: f64) -> Vec<(f64, String)> {
    let rough = ((high - low) / count.max(1) as f64).max(least);
    let magnitude = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * magnitude).into_iter().find(|s| *s >= rough).unwrap_or(rough);
    // A multiple that is outside only by rounding counts as inside.
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let digits = (-step.log10().floor()).max(0.0) as usize;
    let text = |v: f64| match v.abs().max(step) {
        size if !(1e-4..1e6).contains(&size) => format!("{v:.1e}"),
        _ => format!("{v:.digits$}"),
    };
    let multiples = (0..=(last - first).clamp(0.0, 100.0) as u32).map(|i| (first + f64::from(i)) * step);
    // Adding zero turns -0 into 0.
    multiples.map(|v| (v, text(v + 0.0))).collect()
}

#[cfg(test)]
mod tests {
    use super::{Axis, Scale};

    fn texts(log: bool, values: &[f64]) -> Vec<String> {
        let axis = Axis { log, ..Axis::default() };
        let scale = Scale::new(&axis, values.iter().copied(), 0.0, 100.0, 0.0);
        scale.ticks(5, false).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(texts(false, &[0.0, 1.0]), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(false, &[-3.0, 12.0]), ["0", "5", "10"]);
        assert_eq!(texts(false, &[97.1, 97.3]), ["97.10", "97.15", "97.20", "97.25", "97.30"]);
        assert_eq!(texts(true, &[1e-4, 1e-1]), ["0.0001", "0.001", "0.01", "0.1"].map(|t| t.replace("0.0001", "1e-4")));
        assert_eq!(texts(true, &[2.0, 5.0]), ["2", "3", "4", "5"]);
    }

    #[test]
    fn whole_numbers() {
        let ticks = |low: f64, high: f64| {
            let scale = Scale::new(&Axis::whole(""), [low, high].into_iter(), 0.0, 1.0, 0.03);
            scale.ticks(6, true).into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        };
        assert_eq!(ticks(1.0, 2.0), ["1", "2"]);
        assert_eq!(ticks(1.0, 3.0), ["1", "2", "3"]);
        assert_eq!(ticks(1.0, 20.0), ["5", "10", "15", "20"]);
    }

    #[test]
    fn places_are_proportional() {
        let scale = Scale::new(&Axis::log(""), [1.0, 100.0].into_iter(), 0.0, 10.0, 0.0);
        assert!((scale.at(10.0) - 5.0).abs() < 1e-12);
        assert!(!scale.shows(0.0) && !scale.shows(f64::NAN) && scale.shows(1e-200));
    }
}
