//! Two small convolutional networks for small images, as `nn.Sequential` with PyTorch's names and first weights.

use super::{Config, Model, Quick, Read, ShapeOf, Signature, in_f32, linear_relu};
use crate::{
    data::Image,
    error::Result,
    ops::{Activation, BatchNorm, Conv2d, batch_norm, bias, conv2d_of, dropout, flatten, linear, max_pool2d},
    program::{
        Tape, Tensor,
        params::{Init, Role},
    },
    settings::Setting,
};

/// The model's entry in the registry.
pub const MODEL: Model = Model {
    about: "small convolutional networks: that of PyTorch's MNIST example, and the six-layer one of VRAdam's experiments",
    settings: || {
        vec![
            Setting::choice("preset", &["mnist", "vradam"], PRESET),
            Setting::whole("width", 32, 1, Some(1024), WIDTH),
            Setting::below_one("feature_dropout", 0.0, FEATURE_DROPOUT),
        ]
    },
    check,
    quick: Quick::Width,
    known_by: Some(Signature {
        first: "0.weight",
        last: |config| if is_mnist(config) { "10.weight".into() } else { "24.weight".into() },
        shapes: "[width, channels, 3, 3], and the last [classes, hidden]",
        is: |shape| matches!(shape("0.weight").as_deref(), Some([_, _, 3, 3])),
        read,
    }),
    ..Model::new("cnn", record)
};

const WIDTH: &str = "the channels of the first convolution; mnist was published with 32, vradam with 64";
const FEATURE_DROPOUT: &str = "the probability of dropout behind the convolutions of mnist, which was published with 0.25, and \
                               0.5 before the last layer (--dropout)";
const PRESET: &str = "mnist: two convolutions, a max-pool, a hidden layer of 4 width; vradam: three pairs of convolutions with batch \
                      norm, of width, 2 width and 4 width channels, a max-pool behind each pair, a hidden layer of 8 width";

/// The settings that say which of the two networks it is.
fn is_mnist(config: &Config) -> bool {
    config.settings.choice("preset") == "mnist"
}

/// Two convolutions without padding take four pixels, three max-pools halve three times.
fn check(config: &Config) -> Result<()> {
    config.image().at_least(if is_mnist(config) { 6 } else { 8 })
}

fn read(shape: &ShapeOf<'_>) -> Option<Read> {
    let [width, channels, 3, 3] = shape("0.weight")?[..] else { return None };
    let (preset, hidden, last) = match shape("1.weight") {
        None => ("mnist", "7.weight", "10.weight"),
        Some(_) => ("vradam", "22.weight", "24.weight"),
    };
    let [_, inputs] = shape(hidden)?[..] else { return None };
    let [classes, _] = shape(last)?[..] else { return None };
    // The side of square images, from what is left of them in front of the hidden layer.
    let maps = inputs.checked_div(width.checked_mul(if preset == "mnist" { 2 } else { 4 })?)?;
    let left = f64::from(maps).sqrt() as u32;
    let side = if preset == "mnist" { 2 * left + 4 } else { 8 * left };
    let settings = vec![("preset".into(), preset.into()), ("width".into(), width.to_string())];
    let image = (left * left == maps).then_some(Image { channels, height: side, width: side });
    Some(Read { settings, classes, input: image.map(Into::into) })
}

/// Images `[n, h, w, c]` to logits `[n, 1, 1, classes]`.
fn record(t: &mut Tape, images: Tensor, config: &Config) -> Tensor {
    let width = config.settings.whole("width");
    if is_mnist(config) { mnist(t, images, width, config) } else { vradam(t, images, width, config.classes) }
}

/// The network of PyTorch's example for MNIST (examples/mnist/main.py).
fn mnist(t: &mut Tape, images: Tensor, width: u32, config: &Config) -> Tensor {
    let mut x = convolution(t, 0, images, width, 0, Activation::Relu);
    x = convolution(t, 2, x, 2 * width, 0, Activation::Relu);
    x = t.scope("4", |t| max_pool2d(t, x, 2, 2, 0));
    x = t.scope("5", |t| dropout(t, x, config.settings.number("feature_dropout") as f32));
    x = t.scope("6", |t| flatten(t, x));
    x = t.scope("7", |t| linear_relu(t, x, 4 * width));
    x = t.scope("9", |t| dropout(t, x, t.dropout));
    x = in_f32(t, x);
    t.scope("10", |t| linear(t, x, config.classes))
}

/// The network of VRAdam's experiments with CIFAR-10 (Vaidhyanathan, Rebentrost and others 2025, arXiv 2505.13196, in the form of
/// its code). It has no dropout; that of the run comes before the last layer.
fn vradam(t: &mut Tape, images: Tensor, width: u32, classes: u32) -> Tensor {
    let mut x = images;
    for stage in 0..3 {
        for first in [7 * stage, 7 * stage + 3] {
            x = convolution(t, first, x, width << stage, 1, Activation::None);
            x = t.scope((first + 1).to_string(), |t| batch_norm(t, x, BatchNorm::then(Activation::Relu)));
        }
        x = t.scope((7 * stage + 6).to_string(), |t| max_pool2d(t, x, 2, 2, 0));
    }
    x = t.scope("21", |t| flatten(t, x));
    x = t.scope("22", |t| linear_relu(t, x, 8 * width));
    x = t.scope("23", |t| dropout(t, x, t.dropout));
    x = in_f32(t, x);
    t.scope("24", |t| linear(t, x, classes))
}

/// A 3x3 convolution with a bias as PyTorch initializes it.
fn convolution(t: &mut Tape, index: u32, x: Tensor, outputs: u32, padding: u32, activation: Activation) -> Tensor {
    let init = Init::Uniform { fan: 9 * t.shape(x)[3] };
    t.scope(index.to_string(), |t| {
        let x = conv2d_of(t, x, Conv2d { outputs, kernel: 3, stride: 1, padding }, init, Role::Weight);
        bias(t, x, init, activation)
    })
}
