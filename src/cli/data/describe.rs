//! What a data set holds, in words or as an object.

use serde::Serialize;

use crate::{
    cli::{live, print::say},
    data::{Dataset, Excerpt, Input, Split, Summary, excerpt, summary_on, vocabulary},
    error::Result,
    host::{files::absolute, threads::on_all_cores},
};

/// Most classes of images that are listed.
const MOST_CLASSES: usize = 20;
/// Most tokens that are listed.
const MOST_TOKENS: usize = 10;

/// A data set, as `--json` prints it.
#[derive(Serialize)]
pub(super) struct Report<'a> {
    dataset: &'a str,
    crc32: String,
    path: Option<String>,
    seed: Option<u64>,
    #[serde(flatten)]
    input: Input,
    classes: &'a [String],
    /// Nats per target that no model can have less of on average.
    least_loss: Option<f64>,
    train: Part,
    test: Part,
}

/// A split of it.
#[derive(Serialize)]
#[serde(untagged)]
enum Part {
    Images(Summary),
    Text(Excerpt),
}

/// Reads the set.
pub(super) fn report(dataset: &dyn Dataset) -> Result<Report<'_>> {
    let spec = dataset.spec();
    Ok(Report {
        dataset: &spec.name,
        crc32: format!("{:08x}", dataset.checksum()),
        path: dataset.path().map(absolute),
        seed: dataset.seed(),
        input: spec.input,
        classes: &spec.classes,
        least_loss: dataset.least_loss(),
        train: part(dataset, Split::Train)?,
        test: part(dataset, Split::Test)?,
    })
}

fn part(dataset: &dyn Dataset, split: Split) -> Result<Part> {
    match dataset.spec().input {
        Input::Image(_) => {
            let read = || summary_on(dataset, split, on_all_cores);
            live::during("reading the images", read).map(Part::Images)
        }
        Input::Tokens(_) => live::during("reading the text", || excerpt(dataset, split, MOST_TOKENS)).map(Part::Text),
    }
}

/// Prints what the set holds.
pub(super) fn say_all(dataset: &dyn Dataset) -> Result<()> {
    let spec = dataset.spec();
    say!("{}, CRC-32 {:08x}", spec.name, dataset.checksum());
    if let Some(path) = dataset.path() {
        say!("read from {}", absolute(path));
    }
    for split in [Split::Train, Split::Test] {
        match part(dataset, split)? {
            Part::Images(summary) => say_images(split, summary, &spec.classes),
            Part::Text(excerpt) => say_text(split, &excerpt, spec.input),
        }
    }
    if let Some(loss) = dataset.least_loss() {
        say!("\nthe least possible loss is {loss:.4} nats per {}", vocabulary::unit(&spec.classes));
    }
    Ok(())
}

fn say_images(split: Split, summary: Summary, classes: &[String]) {
    let Summary { count, per_class, mean, std } = summary;
    let name = if split == Split::Train { "train" } else { "test" };
    let list = |v: &[f64]| v.iter().map(|v| format!("{v:.4}")).collect::<Vec<_>>().join(" ");
    let colours = if mean.len() == 1 { "grey" } else { "red green blue" };
    say!("\n{name}: {count} images, mean {}, std {} ({colours}, 0 to 1)", list(&mean), list(&std));
    let shown = || classes.iter().take(MOST_CLASSES);
    let width = shown().map(|class| class.chars().count()).max().unwrap_or(0).clamp(12, 40);
    for (class, count) in shown().zip(per_class) {
        say!("  {class:<width$} {count:>7}");
    }
    if classes.len() > MOST_CLASSES {
        say!("  and {} more classes", classes.len() - MOST_CLASSES);
    }
}

fn say_text(split: Split, excerpt: &Excerpt, input: Input) {
    let Excerpt { tokens, blocks, begins, counted, frequent } = excerpt;
    let name = if split == Split::Train { "train" } else { "validation" };
    let size = input.to_string();
    say!("\n{name}: {tokens} tokens, {blocks} {size}");
    if *blocks == 0 {
        return;
    }
    say!("  begins with \"{}\"", begins.escape_debug());
    say!("  most frequent of {counted} tokens:");
    for found in frequent {
        let share = 100.0 * found.count as f64 / *counted as f64;
        // A word may be as long as a line.
        let token: String = found.token.escape_debug().take(40).collect();
        say!("  {:<12} {:>9} {share:>6.2} %", format!("`{token}`"), found.count);
    }
}
