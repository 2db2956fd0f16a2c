//! The networks of Simonyan and Zisserman 2015 (configurations A, B, D and E), with or without batch norm, with torchvision's
//! names, so that weights can be exchanged.

use super::{Config, Model, Quick, Read, ShapeOf, Signature, in_f32};
use crate::{
    data::Image,
    error::Result,
    ops::{
        Activation, BatchNorm, Conv2d, adaptive_avg_pool2d, batch_norm, bias, conv2d, dropout, flatten, linear_of,
        max_pool2d,
    },
    program::{Tape, Tensor, params::Init},
    settings::Setting,
};

/// VGG-11.
pub const VGG11: Model =
    model("vgg11", "VGG-11: eight convolutions, three linear layers", |t, x, c| record(t, x, c, 0), |s| is(s, 0));
/// VGG-13.
pub const VGG13: Model =
    model("vgg13", "VGG-13: ten convolutions, three linear layers", |t, x, c| record(t, x, c, 1), |s| is(s, 1));
/// VGG-16.
pub const VGG16: Model =
    model("vgg16", "VGG-16: thirteen convolutions, three linear layers", |t, x, c| record(t, x, c, 2), |s| is(s, 2));
/// VGG-19.
pub const VGG19: Model =
    model("vgg19", "VGG-19: sixteen convolutions, three linear layers", |t, x, c| record(t, x, c, 3), |s| is(s, 3));

const fn model(
    name: &'static str,
    about: &'static str,
    record: fn(&mut Tape, Tensor, &Config) -> Tensor,
    is: fn(&ShapeOf<'_>) -> bool,
) -> Model {
    let known_by = Signature {
        first: "features.0.weight",
        last: |_| "classifier.6.weight".into(),
        shapes: "[width, channels, 3, 3], width up to 1024, and [classes, hidden]",
        is,
        read,
    };
    Model { about, settings, check, quick: Quick::Width, known_by: Some(known_by), ..Model::new(name, record) }
}

/// Five max-pools halve the map, each of which needs two rows and columns.
fn check(config: &Config) -> Result<()> {
    config.image().at_least(32)
}

/// The number of convolutions in each of the five stages, between max-pools: table 1 of the paper.
const STAGES: [[u32; 5]; 4] = [[1, 1, 2, 2, 2], [2, 2, 2, 2, 2], [2, 2, 3, 3, 3], [2, 2, 4, 4, 4]];

/// Channels of each stage in multiples of the first one's.
const CHANNELS: [u32; 5] = [1, 2, 4, 8, 8];

fn settings() -> Vec<Setting> {
    vec![
        Setting::flag("batchnorm", false, "whether batch norm follows each convolution"),
        Setting::whole("width", 64, 1, Some(1024), "the channels of the first stage; the published network has 64"),
        Setting::whole("hidden", 4096, 1, Some(65_536), "the units of the two linear layers before the last"),
        Setting::whole(
            "pool",
            7,
            1,
            Some(32),
            "rows and columns of the map that is averaged to before the linear layers",
        ),
    ]
}

/// The convolutions in order: the index of each in torchvision's `nn.Sequential`, and its stage.
fn convolutions(depth: usize, batchnorm: bool) -> Vec<(u32, usize)> {
    let (mut index, mut all) = (0, vec![]);
    for (stage, &count) in STAGES[depth].iter().enumerate() {
        for _ in 0..count {
            all.push((index, stage));
            index += if batchnorm { 3 } else { 2 };
        }
        index += 1; // the max-pool
    }
    all
}

fn has_norm(shape: &ShapeOf<'_>) -> bool {
    shape("features.1.weight").is_some()
}

/// Whether a file's network has this depth: it has each of its convolutions, and none beyond.
fn is(shape: &ShapeOf<'_>, depth: usize) -> bool {
    let filter = |index: u32| shape(&format!("features.{index}.weight")).is_some_and(|dims| dims.len() == 4);
    let own: Vec<u32> = convolutions(depth, has_norm(shape)).into_iter().map(|(index, _)| index).collect();
    (0..64).filter(|&index| filter(index)).eq(own)
}

fn read(shape: &ShapeOf<'_>) -> Option<Read> {
    let [width, channels, 3, 3] = shape("features.0.weight")?[..] else { return None };
    let [hidden, inputs] = shape("classifier.0.weight")?[..] else { return None };
    let [classes, _] = shape("classifier.6.weight")?[..] else { return None };
    let pool = f64::from(inputs.checked_div(width.checked_mul(8)?)?).sqrt() as u32;
    let settings = [
        ("batchnorm", has_norm(shape).to_string()),
        ("width", width.to_string()),
        ("hidden", hidden.to_string()),
        ("pool", pool.to_string()),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value)).to_vec();
    let image = Image { channels, ..Image::CIFAR };
    let read = Read { settings, classes, input: Some(image.into()) };
    (Some(inputs) == pool.checked_mul(pool)?.checked_mul(8)?.checked_mul(width)).then_some(read)
}

/// Images `[n, h, w, c]` to logits `[n, 1, 1, classes]`.
fn record(t: &mut Tape, images: Tensor, config: &Config, depth: usize) -> Tensor {
    let set = &config.settings;
    let (width, batchnorm) = (set.whole("width"), set.flag("batchnorm"));
    let (mut x, mut stage) = (images, 0);
    for (index, of) in convolutions(depth, batchnorm) {
        if of > stage {
            (x, stage) = (t.scope(format!("pool{stage}"), |t| max_pool2d(t, x, 2, 2, 0)), of);
        }
        let choices = Conv2d { outputs: width * CHANNELS[of], kernel: 3, stride: 1, padding: 1 };
        x = t.scope(format!("features.{index}"), |t| {
            let x = conv2d(t, x, choices);
            let activation = if batchnorm { Activation::None } else { Activation::Relu };
            bias(t, x, Init::Constant(0.0), activation)
        });
        if batchnorm {
            let options = BatchNorm::then(Activation::Relu);
            x = t.scope(format!("features.{}", index + 1), |t| batch_norm(t, x, options));
        }
    }
    x = t.scope(format!("pool{stage}"), |t| max_pool2d(t, x, 2, 2, 0));
    x = t.scope("avgpool", |t| adaptive_avg_pool2d(t, x, set.whole("pool")));
    x = t.scope("avgpool", |t| flatten(t, x));
    for index in [0, 3] {
        x = t.scope(format!("classifier.{index}"), |t| linear(t, x, set.whole("hidden"), Activation::Relu));
        x = t.scope(format!("classifier.{}", index + 2), |t| dropout(t, x, t.dropout));
    }
    x = in_f32(t, x);
    t.scope("classifier.6", |t| linear(t, x, config.classes, Activation::None))
}

/// A linear layer with torchvision's first weights.
fn linear(t: &mut Tape, x: Tensor, outputs: u32, activation: Activation) -> Tensor {
    let x = linear_of(t, x, outputs, Init::Normal(0.01));
    bias(t, x, Init::Constant(0.0), activation)
}
