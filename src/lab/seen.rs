//! Images as a network sees them.

use pollster::block_on;

use crate::{
    data::{Batch, Dataset, Image, Split, order},
    device::{Gpu, runtime::Runtime},
    error::Result,
    lab::{png::Png, sheet::contact_sheet},
    ops::{self, Augment, Normalize},
    program::{BufferKind, Input, Tape, step::Step},
    training::Options,
};

/// The most images of a sheet, and those in a row.
const MOST: usize = 64;
const COLUMNS: usize = 16;

/// A sheet of the first images that a run with these options trains on, up to 64 of its first batch, as augmented for the
/// first epoch; the normalization is taken back.
///
/// # Errors
/// [`Error::Config`](crate::error::Error::Config) if the set has no images; the errors of reading them; [`Error::Device`](crate::error::Error::Device) on a fault of the device.
pub fn first_images(gpu: &Gpu, dataset: &dyn Dataset, options: &Options) -> Result<Png> {
    let image = dataset.spec().image()?;
    let mut order = order(dataset.len(Split::Train), options.shuffle.then_some((options.seed, 1)));
    order.truncate(MOST.min(options.batch as usize));
    let (augment, parts) = options.recipe.augment.divide(dataset, options.seed, 1);
    let (batch, by) = (Batch::read_parts(dataset, Split::Train, &order, parts)?, options.normalize()?);
    let mut images = as_network_sees(gpu, image, &batch, options.seed, augment, by)?;
    take_back(&mut images, image, by);
    contact_sheet(&images, image, COLUMNS, 2)
}

/// The images of a batch, `[n][height][width][channels]`, as augmented for the first epoch, and normalized.
///
/// # Errors
/// [`Error::Device`](crate::error::Error::Device) on a fault of the device.
pub fn as_network_sees(
    gpu: &Gpu,
    image: Image,
    batch: &Batch,
    seed: u64,
    augment: Augment,
    by: Normalize,
) -> Result<Vec<f32>> {
    let n = batch.len();
    let mut t = Tape::new(&gpu.target, false);
    let draws = ops::draw(&mut t, n as u32, image, augment);
    let x = ops::augment(&mut t, n as u32, image, draws, augment, by);
    t.keep(x);
    let recordings = [t.finish()];
    let runtime = block_on(Runtime::new(gpu, &recordings, true))?;
    runtime.write(runtime.buffer(&BufferKind::Input(Input::Samples)), &batch.inputs);
    runtime.write(runtime.buffer(&BufferKind::Input(Input::Indices)), &batch.indices);
    runtime.set_step(&Step { seed: Step::seed_of(seed), epoch: 1, ..Step::default() });
    block_on(runtime.run(&[0]))?;
    let (pixels, channels) = (image.pixels(), image.channels as usize);
    let stored: Vec<f32> = block_on(runtime.read(runtime.tensor(0, x), pixels * n * 4))?;
    let mut images = Vec::with_capacity(n * image.bytes());
    for nth in 0..n {
        for pixel in 0..pixels {
            images.extend(&stored[(pixel * n + nth) * 4..][..channels]);
        }
    }
    Ok(images)
}

/// Takes the normalization of images back, to a scale of 0 to 1.
pub fn take_back(images: &mut [f32], image: Image, by: Normalize) {
    for (value, colour) in images.iter_mut().zip((0..image.channels as usize).cycle()) {
        *value = *value * by.std[colour] as f32 + by.mean[colour] as f32;
    }
}
