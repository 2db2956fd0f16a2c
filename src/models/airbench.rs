//! The network of airbench94 (Jordan 2024, arXiv 2404.00498, in the form of `airbench94_muon.py`), with the names of its code, so
//! that its weights can be exchanged.
//!
//! A frozen convolution whitens 2x2 patches, and has each filter's negative too; three groups of two 3x3 convolutions
//! follow, which are initialized to the identity and whose batch norms keep the weight 1; a linear layer without bias
//! ends the network. At width 64 it has the published numbers of channels.

use super::{Config, Model, Quick, Read, ShapeOf, Signature};
use crate::{
    data::Image,
    error::{Error, Result},
    ops::{
        Activation, BatchNorm, Conv2d, Normalize, batch_norm, bias, conv2d_of, dropout, global_avg_pool, linear_of,
        max_pool2d, scale,
    },
    program::{
        Tape, Tensor,
        params::{Init, Role},
    },
    settings::Setting,
};

/// The model's entry in the registry.
pub const MODEL: Model = Model {
    about: "the network of the airbench94 speed-run for 32x32 pictures (Jordan 2024, arXiv 2404.00498)",
    settings: || {
        let doc = "the channels of the first group; the published network has 64";
        vec![Setting::whole("width", 64, 1, Some(1024), doc)]
    },
    check,
    quick: Quick::Width,
    normalize: Normalize::CIFAR10,
    known_by: Some(Signature {
        first: "layers.1.conv1.weight",
        last: |_| "head.weight".into(),
        shapes: "[width, 24, 3, 3], width up to 1024, and [classes, 4 width]",
        is: |_| true,
        read,
    }),
    ..Model::new("airbench94", airbench94)
};

fn read(shape: &ShapeOf<'_>) -> Option<Read> {
    let [width, WHITENED, 3, 3] = shape("layers.1.conv1.weight")?[..] else { return None };
    let [classes, inputs] = shape("head.weight")?[..] else { return None };
    let settings = vec![("width".into(), width.to_string())];
    (Some(inputs) == width.checked_mul(4)).then_some(Read { settings, classes, input: Some(Image::CIFAR.into()) })
}

/// Its poolings leave one pixel of a map of 31 by 31, and its filters whiten patches of three colours.
fn check(config: &Config) -> Result<()> {
    if config.image() == Image::CIFAR {
        return Ok(());
    }
    Err(Error::config(format!("airbench94 takes {}, not {}", Image::CIFAR, config.image()), "resnet18 takes any size"))
}

/// The network for images of CIFAR-10's size.
///
/// # Panics
/// If the width is out of its range.
pub fn config(width: u32, classes: u32) -> Config {
    MODEL.config(Image::CIFAR, classes, &[("width".into(), width.to_string())]).expect("the settings of airbench94")
}

/// The side of a whitened patch, in pixels.
const PATCH: u32 = 2;

/// The number of whitening filters: one for each value of a patch, and the negative of each.
const WHITENED: u32 = 2 * 3 * PATCH * PATCH;

/// Images `[n, 32, 32, 3]` to logits `[n, 1, 1, classes]`: the three groups have `width`, 4 `width` and 4 `width`
/// channels.
pub fn airbench94(t: &mut Tape, images: Tensor, config: &Config) -> Tensor {
    let width = config.settings.whole("width");
    let mut x = t.scope("whiten", |t| {
        let choices = Conv2d { outputs: WHITENED, kernel: PATCH, stride: 1, padding: 0 };
        let x = conv2d_of(t, images, choices, Init::Whiten, Role::Frozen);
        t.no_gradient(x); // neither the images nor the filters need one
        bias(t, x, Init::Uniform { fan: 3 * PATCH * PATCH }, Activation::Gelu)
    });
    for (group, outputs) in [(1, width), (2, 4 * width), (3, 4 * width)] {
        x = t.scope(format!("layers.{group}"), |t| {
            let x = convolution(t, "conv1", x, outputs);
            let x = t.scope("pool", |t| max_pool2d(t, x, 2, 2, 0));
            let x = norm(t, "norm1", x);
            let x = convolution(t, "conv2", x, outputs);
            norm(t, "norm2", x)
        });
    }
    let x = t.scope("layers.4", |t| max_pool2d(t, x, 3, 3, 0));
    // The map has one pixel by now, so its mean changes nothing but the type, which is f32 in any precision.
    let x = t.scope("layers.4", |t| global_avg_pool(t, x));
    let x = t.scope("dropout", |t| dropout(t, x, t.dropout));
    t.scope("head", |t| {
        let x = linear_of(t, x, config.classes, Init::UnitVariance);
        scale(t, x, 1.0 / (4 * width) as f32)
    })
}

fn convolution(t: &mut Tape, name: &str, x: Tensor, outputs: u32) -> Tensor {
    let choices = Conv2d { outputs, kernel: 3, stride: 1, padding: 1 };
    t.scope(name, |t| conv2d_of(t, x, choices, Init::Dirac, Role::Weight))
}

/// A batch norm with fast running statistics and a frozen weight, followed by GELU.
fn norm(t: &mut Tape, name: &str, x: Tensor) -> Tensor {
    let choices = BatchNorm { eps: 1e-12, momentum: 0.4, frozen_weight: true, ..BatchNorm::then(Activation::Gelu) };
    t.scope(name, |t| batch_norm(t, x, choices))
}
