//! The line about an update: its parts, in as many columns as there are.

/// The parts of the live line about an update.
pub(super) struct Parts {
    pub run: Option<String>,
    pub epoch: String,
    pub step: String,
    /// Share of the run that is done, 0 to 1.
    pub share: f64,
    pub loss: String,
    pub accuracy: String,
    pub lr: String,
    pub images: Option<String>,
    pub left: Option<String>,
    pub notice: Option<String>,
}

impl Parts {
    /// The parts that fit in `width` characters, in reading order; the least important are left out first. A bar fills
    /// the remaining room.
    pub fn line(&self, width: usize) -> String {
        // Each part has a rank: parts of a higher rank are left out first.
        let parts = [
            (self.run.as_deref(), 2),
            (Some(self.epoch.as_str()), 0),
            (Some(self.step.as_str()), 0),
            (self.notice.as_deref(), 1),
            (Some(self.loss.as_str()), 4),
            (Some(self.accuracy.as_str()), 6),
            (Some(self.lr.as_str()), 3),
            (self.images.as_deref(), 5),
            (self.left.as_deref(), 1),
        ];
        for rank in (0..=6).rev() {
            let said: Vec<&str> = parts.iter().filter(|(_, of)| *of <= rank).filter_map(|(part, _)| *part).collect();
            let text = said.join(" ");
            let room = width.saturating_sub(text.chars().count() + 1);
            if room > 6 && rank == 6 {
                let bar = bar(self.share, room.min(20));
                let after = self.run.is_some() as usize + 2;
                return [&said[..after], &[bar.as_str()], &said[after..]].concat().join(" ");
            }
            if text.chars().count() <= width {
                return text;
            }
        }
        self.step.chars().take(width).collect()
    }

    /// All parts.
    pub fn plain(&self) -> String {
        let run = self.run.as_ref().map_or(String::new(), |run| format!("{run} "));
        let mut text =
            format!("{run}{} {}  {}  accuracy {}  {}", self.epoch, self.step, self.loss, self.accuracy, self.lr);
        for part in [&self.images, &self.left, &self.notice].into_iter().flatten() {
            text += &format!("  {part}");
        }
        text
    }
}

fn bar(share: f64, width: usize) -> String {
    let full = (share.clamp(0.0, 1.0) * width as f64).round() as usize;
    "━".repeat(full) + &"─".repeat(width - full)
}

/// A learning rate with three digits.
pub(super) fn rate(lr: f64) -> String {
    if lr == 0.0 || (1e-3..1e3).contains(&lr) {
        let digits = (2 - lr.max(1e-3).log10().floor() as i32).max(0) as usize;
        let text = format!("{lr:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        format!("{lr:.2e}")
    }
}

/// A duration in a few characters.
pub(super) fn short(seconds: f64) -> String {
    let whole = seconds.clamp(0.0, 1e9).round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(run: Option<&str>) -> Parts {
        Parts {
            run: run.map(str::to_owned),
            epoch: "epoch 12/200".into(),
            step: "step 12/79".into(),
            share: 0.25,
            loss: "loss 1.9123".into(),
            accuracy: "34.5 %".into(),
            lr: format!("lr {}", rate(0.0015)),
            images: Some("1234 images/s".into()),
            left: Some(format!("{} left", short(4321.0))),
            notice: None,
        }
    }

    /// Step, rate and time left are shown in 80 columns and in 60, and no line is too wide.
    #[test]
    fn the_line_fits() {
        for (width, run) in [(80, None), (80, Some("run 3/6")), (60, None)] {
            let line = parts(run).line(width - SPINNER);
            for part in ["epoch 12/200", "step 12/79", "lr 0.0015", "1h12m left"] {
                assert!(line.contains(part), "{width}: {line}");
            }
            assert!(line.chars().count() <= width - SPINNER, "{width}: {line}");
        }
        assert!(parts(None).line(120).contains('━'), "{}", parts(None).line(120));
        for width in 0..130 {
            let line = parts(Some("run 3/6")).line(width);
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
        let skipped = Parts { notice: Some("NOT FINITE, skipped".into()), ..parts(None) };
        assert!(skipped.line(57).contains("NOT FINITE, skipped"));
        assert_eq!(bar(0.25, 8), "━━──────");
    }

    /// Columns of the spinner before the line, and the one that stays free.
    const SPINNER: usize = 3;

    #[test]
    fn durations_and_rates() {
        assert_eq!([0.4, 59.0, 61.0, 3600.0].map(short), ["0s", "59s", "1m01s", "1h00m"]);
        assert_eq!([0.0015, 0.1, 1.0, 3e-5, 0.0, 11.53].map(rate), ["0.0015", "0.1", "1", "3.00e-5", "0", "11.5"]);
    }
}
