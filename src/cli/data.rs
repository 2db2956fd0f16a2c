//! `velograd data`: says what a data set holds, draws a sheet of its images, and fetches sets.

mod describe;
mod fetch;

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{
    flags::{data::DataFlags, device::DeviceFlags, values},
    json_line, live,
    normalization::words,
    open_device,
    print::{note, remark, say},
};
use crate::{
    data::{Batch, Dataset, Image, Split, order},
    error::{Error, Result},
    host::{data as host_data, files::write_atomically, loader::Loader, threads::on_all_cores},
    lab::{
        seen::{as_network_sees, take_back},
        sheet::contact_sheet,
    },
    ops::{Augment, Normalize},
    training::Normalization,
};

/// Images per row, and rows of the sheet. Each image is followed by its augmented form.
const COLUMNS: usize = 20;
const ROWS: usize = 10;
/// Pixels that a row of the sheet has room for.
const WIDEST: usize = 4096;

#[derive(Args)]
pub(super) struct Arguments {
    /// Fetches a data set with the system's curl, and compares it with its published checksum: cifar10, cifar100, mnist,
    /// fashion-mnist, tiny-shakespeare or wikitext-2. What an interruption leaves is continued by the same command
    #[arg(long, value_name = "NAME", conflicts_with_all = ["preview", "dataset", "data"], help_heading = "Fetch")]
    fetch: Option<String>,
    /// The folder to fetch to
    #[arg(long, value_name = "DIR", default_value = "data", requires = "fetch", help_heading = "Fetch")]
    to: PathBuf,
    /// The address of a folder that has the files, in place of the known ones: http://, https:// or file://
    #[arg(long, value_name = "URL", requires = "fetch", help_heading = "Fetch")]
    from: Option<String>,
    /// Writes a sheet of training images: each as it is, and to its right as augmented for the first epoch
    #[arg(long, value_name = "FILE.png")]
    preview: Option<PathBuf>,
    /// What the sheet shows of augmentation: a list of steps or its name, as `velograd train --help` describes them
    #[arg(long, value_name = "LIST|paper|airbench|imagenet|none", value_parser = values::parsed::<Augment>, default_value = "paper")]
    augment: Augment,
    /// What the sheet's images are normalized by on their way through the device, which the sheet takes back: half (to -1..1),
    /// dataset (mean and standard deviation of the training images), imagenet (torchvision's numbers), or means and deviations
    /// on a scale of 0 to 1
    #[arg(long, value_name = "half|dataset|imagenet|M,M,M/S,S,S", value_parser = values::parsed::<Normalization>, default_value = "half")]
    normalize: Normalization,
    /// One JSON object on standard output
    #[arg(long, conflicts_with_all = ["preview", "fetch"], help_heading = "Output")]
    json: bool,
    /// Seed of the augmentation, and of drawn images and text
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    device: DeviceFlags,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    if let Some(name) = &arguments.fetch {
        return fetch::run(name, &arguments.to, arguments.from.as_deref());
    }
    describe(arguments)?;
    Ok(ExitCode::SUCCESS)
}

/// Says what the set holds, and draws the sheet.
fn describe(arguments: &Arguments) -> Result<()> {
    let opened = live::during("opening the data", || host_data::open(arguments.data.wanted(arguments.seed)))?;
    // With --json, standard output has the object alone.
    opened.notes.iter().for_each(|text| if arguments.json { remark(text) } else { note!("{text}") });
    let dataset = opened.dataset;
    if arguments.preview.is_some() {
        dataset.spec().image()?;
    }
    if arguments.json {
        json_line(&describe::report(dataset.as_ref())?);
    } else {
        describe::say_all(dataset.as_ref())?;
    }
    if let Some(path) = &arguments.preview {
        let by = arguments.normalize.of_on(dataset.as_ref(), on_all_cores)?;
        let [least, most] = preview(arguments, &dataset, by, path)?;
        say!("\nnormalized by {}: the network sees values from {least:.3} to {most:.3}", words(by));
        say!("wrote {}", path.display());
    }
    Ok(())
}

/// Writes the sheet. Returns the smallest and the largest normalized value.
fn preview(
    arguments: &Arguments,
    dataset: &std::sync::Arc<dyn Dataset>,
    by: Normalize,
    path: &std::path::Path,
) -> Result<[f32; 2]> {
    let image = dataset.spec().image()?;
    arguments.augment.check(image)?;
    let (columns, scale) = layout(image);
    let count = (columns / 2 * ROWS).min(dataset.len(Split::Train));
    let mut order = order(dataset.len(Split::Train), None);
    order.truncate(count);
    let read = |parts| -> Result<Batch> {
        let batch = Loader::of_parts(dataset.clone(), Split::Train, order.clone(), count.max(1), parts)?.next();
        batch.ok_or_else(|| Error::config("there are no training images to show", "the set has test images alone"))?
    };
    let (augment, parts) = arguments.augment.divide(dataset.as_ref(), arguments.seed, 1);
    let whole = read(None)?;
    let parts = if parts.is_some() { read(parts)? } else { whole.clone() };
    let gpu = open_device(arguments.device.device.as_deref())?;
    let seen = |batch: &Batch, augment: Augment| {
        live::during("preparing the augmentation", || as_network_sees(&gpu, image, batch, arguments.seed, augment, by))
    };
    let (plain, augmented) = (seen(&whole, Augment::NONE)?, seen(&parts, augment)?);
    let all = || plain.iter().chain(&augmented).copied();
    let range = [all().fold(f32::INFINITY, f32::min), all().fold(f32::NEG_INFINITY, f32::max)];
    let size = image.bytes();
    let mut sheet: Vec<f32> =
        (0..count).flat_map(|i| [&plain[i * size..][..size], &augmented[i * size..][..size]].concat()).collect();
    take_back(&mut sheet, image, by);
    write_atomically(path, &contact_sheet(&sheet, image, columns, scale)?.bytes)?;
    Ok(range)
}

/// The images in a row of the sheet, and the pixels that each of theirs takes along a side: fewer and smaller ones where the
/// sheet would be wider than a screen several times.
fn layout(image: Image) -> (usize, usize) {
    let side = image.width.max(image.height) as usize;
    let scale = if side <= 64 { 2 } else { 1 };
    ((WIDEST / (side * scale) / 2 * 2).clamp(2, COLUMNS), scale)
}
