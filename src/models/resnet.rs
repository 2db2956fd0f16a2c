//! ResNet-18 (He, Zhang, Ren, Sun 2016), with torchvision's names, so that its weights can be exchanged.

use super::{Config, Model, ShapeOf, Stem};
use crate::{
    ops::{Activation, BatchNorm, Conv2d, batch_norm, conv2d, dropout, global_avg_pool, linear, max_pool2d},
    program::{Tape, Tensor},
};

/// The model's entry in the registry.
pub const MODEL: Model = Model {
    stems: true,
    known_by: ["conv1.weight", "fc.weight"],
    config_of,
    shapes: "[width, 3, 7, 7] or [width, 3, 3, 3], width up to 1024, and [classes, 8 width], as torchvision's ResNet has",
    relative,
    ..Model::new("resnet18", resnet18)
};

/// The size of the network from the shapes of its first and last weight: the last stage has eight times the width.
fn config_of(conv1: &[u32], fc: &[u32]) -> Option<Config> {
    let stem = match conv1 {
        [_, 3, 7, 7] => Stem::Imagenet,
        [_, 3, 3, 3] => Stem::Cifar,
        _ => return None,
    };
    let &[classes, inputs] = fc else { return None };
    (Some(inputs) == conv1[0].checked_mul(8)).then_some(Config { stem, width: conv1[0], classes })
}

/// The number of blocks in each stage.
const BLOCKS: u32 = 2;

/// The number of stages.
const STAGES: u32 = 4;

/// Describes a ResNet with other blocks; its depth counts the layers with weights, as the paper does.
fn relative(shape: &ShapeOf<'_>) -> Option<String> {
    let has = |stage: u32, block: u32, conv: u32| shape(&format!("layer{stage}.{block}.conv{conv}.weight")).is_some();
    // No real file has so many blocks; if one claims to, they are not all counted.
    let blocks = (1..).map(|stage| (0..1000).take_while(|&block| has(stage, block, 1)).count() as u32);
    let blocks: Vec<u32> = blocks.take(1000).take_while(|&count| count > 0).collect();
    let bottleneck = has(1, 0, 3);
    if blocks.is_empty() || (blocks == [BLOCKS; STAGES as usize] && !bottleneck) {
        return None;
    }
    let depth = 2 + blocks.iter().sum::<u32>() * if bottleneck { 3 } else { 2 };
    let list = blocks.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    Some(format!("a ResNet-{depth} ({list} {})", if bottleneck { "bottleneck blocks" } else { "basic blocks" }))
}

/// Images `[n, h, w, 3]` to logits `[n, 1, 1, classes]`.
pub fn resnet18(t: &mut Tape, images: Tensor, config: Config) -> Tensor {
    let width = config.width;
    let mut x = match config.stem {
        Stem::Imagenet => {
            let x = conv(t, "conv1", images, Conv2d { outputs: width, kernel: 7, stride: 2, padding: 3 });
            let x = norm(t, "bn1", x, BatchNorm::then(Activation::Relu));
            t.scope("maxpool", |t| max_pool2d(t, x, 3, 2, 1))
        }
        Stem::Cifar => {
            let x = conv(t, "conv1", images, Conv2d { outputs: width, kernel: 3, stride: 1, padding: 1 });
            norm(t, "bn1", x, BatchNorm::then(Activation::Relu))
        }
    };
    for stage in 0..STAGES {
        t.scope(format!("layer{}", stage + 1), |t| {
            for block in 0..BLOCKS {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                x = t.scope(block.to_string(), |t| basic_block(t, x, width << stage, stride));
            }
        });
    }
    let x = t.scope("avgpool", |t| global_avg_pool(t, x));
    let x = t.scope("dropout", |t| dropout(t, x, t.dropout));
    t.scope("fc", |t| linear(t, x, config.classes))
}

/// Two 3x3 convolutions and a shortcut around them, which has a 1x1 convolution where the shape changes.
fn basic_block(t: &mut Tape, x: Tensor, outputs: u32, stride: u32) -> Tensor {
    let inputs = t.shape(x)[3];
    let y = conv(t, "conv1", x, Conv2d { outputs, kernel: 3, stride, padding: 1 });
    let y = norm(t, "bn1", y, BatchNorm::then(Activation::Relu));
    let y = conv(t, "conv2", y, Conv2d { outputs, kernel: 3, stride: 1, padding: 1 });
    // torchvision registers the shortcut after bn2; parameters are exchanged by name, so the order here is free.
    let shortcut = if stride != 1 || inputs != outputs {
        t.scope("downsample", |t| {
            let z = conv(t, "0", x, Conv2d { outputs, kernel: 1, stride, padding: 0 });
            norm(t, "1", z, BatchNorm::default())
        })
    } else {
        x
    };
    norm(t, "bn2", y, BatchNorm { add: Some(shortcut), ..BatchNorm::then(Activation::Relu) })
}

fn conv(t: &mut Tape, name: &str, x: Tensor, choices: Conv2d) -> Tensor {
    t.scope(name, |t| conv2d(t, x, choices))
}

fn norm(t: &mut Tape, name: &str, x: Tensor, options: BatchNorm) -> Tensor {
    t.scope(name, |t| batch_norm(t, x, options))
}
