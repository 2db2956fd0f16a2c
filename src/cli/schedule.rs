//! `velograd schedule`: prints and draws a schedule of the learning rate.

use std::path::{Path, PathBuf};

use clap::Args;

use super::print::{self, say};
use crate::{
    error::{Error, Result},
    host::files::write_atomically,
    lab::{
        figure::{Axis, Content, Figure, Line, Panel, Point},
        table::Table,
    },
    training::schedule::Schedule,
};

#[derive(Args)]
pub(super) struct Arguments {
    /// As for `train`: constant, step, cosine, cosine-restarts, linear or triangle, with choices as in
    /// step:every=1950,gamma=0.1
    #[arg(long, default_value = "cosine", value_name = "NAME[:KEY=VALUE,...]")]
    schedule: String,
    /// Updates over which the learning rate rises in a straight line
    #[arg(long, value_name = "UPDATES", default_value_t = 0)]
    warmup: u64,
    /// Updates of the run; 20 epochs of CIFAR-10 in updates of 256 images are 3920
    #[arg(long, value_name = "N", default_value_t = 3920)]
    max_steps: u64,
    /// The learning rate that the schedule scales
    #[arg(long, default_value_t = 1.0)]
    lr: f64,
    /// Draw it into this file
    #[arg(long, value_name = "FILE.svg|FILE.png")]
    plot: Option<PathBuf>,
}

/// Rows of the table.
const ROWS: u64 = 10;

/// Most points of the drawing.
const POINTS: u64 = 2000;

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { schedule, warmup, max_steps, lr, plot } = arguments;
    if *max_steps == 0 {
        return Err(Error::config("--max-steps is 0", "--max-steps is at least 1"));
    }
    if !(*lr >= 0.0 && (*lr as f32).is_finite()) {
        return Err(Error::config(format!("--lr {lr}"), "--lr is a number of at least 0"));
    }
    let parsed = Schedule::parse(schedule, *warmup)?;
    let rate = |update: u64| lr * parsed.factor(update - 1, *max_steps);
    let mut table = Table { header: vec!["update".into(), "learning rate".into()], rows: vec![] };
    for update in spaced(*max_steps, ROWS) {
        table.rows.push(vec![update.to_string(), format!("{:.6}", rate(update))]);
    }
    print::table(&table);
    let Some(path) = plot else { return Ok(()) };
    let points = spaced(*max_steps, POINTS).into_iter().map(|u| Point::new(u as f64, rate(u))).collect();
    let warmup = if *warmup > 0 { format!(", warm-up of {warmup} updates") } else { String::new() };
    let panel = Panel {
        title: format!("{schedule}{warmup}"),
        x: Axis::linear("update"),
        y: Axis::linear("learning rate"),
        content: Content::Lines(vec![Line { label: String::new(), points, crosses: vec![] }]),
    };
    draw(&Figure { title: String::new(), panels: vec![panel], columns: 1 }, path)?;
    say!("wrote {}", path.display());
    Ok(())
}

/// The first update, the last, and at most `count` - 1 between them, evenly spaced.
fn spaced(last: u64, count: u64) -> Vec<u64> {
    let between = last.min(count + 1) - 1;
    // In 128 bits, since the number of updates may take all of 64.
    let at = |i: u64| u128::from(last - 1) * u128::from(i) / u128::from(between.max(1));
    let mut updates: Vec<u64> = (0..=between).map(|i| 1 + at(i) as u64).collect();
    updates.dedup();
    updates
}

/// Writes a figure in the format that its file's extension names.
///
/// # Errors
/// [`Error::Config`] for an extension other than `.svg` or `.png`, [`Error::Io`] if it cannot be written.
pub(super) fn draw(figure: &Figure, path: &Path) -> Result<()> {
    let drawing = figure.drawing();
    match path.extension().and_then(|e| e.to_str()) {
        Some("svg") => write_atomically(path, drawing.svg().as_bytes()),
        Some("png") => write_atomically(path, &drawing.png()?),
        _ => Err(Error::config(format!("{} is no picture", path.display()), "name a file that ends in .svg or .png")),
    }
}

#[cfg(test)]
mod tests {
    use super::spaced;

    #[test]
    fn first_and_last_are_there() {
        assert_eq!(spaced(1, 10), [1]);
        assert_eq!(spaced(3, 10), [1, 2, 3]);
        assert_eq!(spaced(101, 10), [1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 101]);
        let most = spaced(u64::MAX, 10);
        assert!(most.is_sorted() && most.last() == Some(&u64::MAX), "{most:?}");
    }
}
