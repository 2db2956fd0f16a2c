//! Residual networks (He, Zhang, Ren, Sun 2016) with 18 to 152 layers, with torchvision's names, so that weights can be
//! exchanged. Bottleneck blocks have their stride in the 3x3 convolution, as torchvision's do ("ResNet v1.5").

use super::{Config, Model, Quick, Read, ShapeOf, Signature};
use crate::{
    data::Image,
    ops::{Activation, BatchNorm, Conv2d, batch_norm, conv2d, dropout, global_avg_pool, linear, max_pool2d},
    program::{Tape, Tensor},
    settings::Setting,
};

/// ResNet-18.
pub const RESNET18: Model =
    model("resnet18", "ResNet-18: basic blocks, 2 2 2 2", |t, x, c| record(t, x, c, 0), |s| is(s, 0));
/// ResNet-34.
pub const RESNET34: Model =
    model("resnet34", "ResNet-34: basic blocks, 3 4 6 3", |t, x, c| record(t, x, c, 1), |s| is(s, 1));
/// ResNet-50.
pub const RESNET50: Model =
    model("resnet50", "ResNet-50: bottleneck blocks, 3 4 6 3", |t, x, c| record(t, x, c, 2), |s| is(s, 2));
/// ResNet-101.
pub const RESNET101: Model =
    model("resnet101", "ResNet-101: bottleneck blocks, 3 4 23 3", |t, x, c| record(t, x, c, 3), |s| is(s, 3));
/// ResNet-152.
pub const RESNET152: Model =
    model("resnet152", "ResNet-152: bottleneck blocks, 3 8 36 3", |t, x, c| record(t, x, c, 4), |s| is(s, 4));

const fn model(
    name: &'static str,
    about: &'static str,
    record: fn(&mut Tape, Tensor, &Config) -> Tensor,
    is: fn(&ShapeOf<'_>) -> bool,
) -> Model {
    let known_by = Signature {
        first: "conv1.weight",
        last: |_| "fc.weight".into(),
        shapes: "[width, channels, 7, 7] or [width, channels, 3, 3], width up to 1024, and [classes, 8 width], or [classes, 32 \
                 width] with bottleneck blocks",
        is,
        read,
    };
    Model { about, settings, quick: Quick::Width, known_by: Some(known_by), ..Model::new(name, record) }
}

/// The blocks of a network.
struct Depth {
    /// The number of blocks in each stage.
    blocks: [u32; 4],
    /// Three convolutions in a block, 1x1, 3x3 and 1x1, in place of two of 3x3. A block then returns four times the channels of
    /// its 3x3 convolution.
    bottleneck: bool,
}

impl Depth {
    /// How many times the channels of its 3x3 convolution a block returns.
    fn expansion(&self) -> u32 {
        if self.bottleneck { 4 } else { 1 }
    }
}

/// Table 1 of the paper.
const DEPTHS: [Depth; 5] = [
    Depth { blocks: [2, 2, 2, 2], bottleneck: false },
    Depth { blocks: [3, 4, 6, 3], bottleneck: false },
    Depth { blocks: [3, 4, 6, 3], bottleneck: true },
    Depth { blocks: [3, 4, 23, 3], bottleneck: true },
    Depth { blocks: [3, 8, 36, 3], bottleneck: true },
];

fn settings() -> Vec<Setting> {
    vec![
        Setting::choice("stem", &["imagenet", "cifar"], STEM),
        Setting::whole("width", 64, 1, Some(1024), "the channels of the first stage; the published network has 64"),
        Setting::flag("zero_init", false, ZERO_INIT),
    ]
}

const STEM: &str = "the first layers: a 7x7 convolution of stride 2 and a max-pool, made for images of 224 pixels, or a 3x3 \
                    convolution of stride 1";
const ZERO_INIT: &str = "whether the last norm's weight of each block starts at 0, so that blocks start as the identity: \
                         torchvision's zero_init_residual (Goyal et al. 2017)";

/// The first layers of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stem {
    /// 7x7 convolution of stride 2 and max-pool: torchvision's, made for images of 224 pixels.
    Imagenet,
    /// 3x3 convolution of stride 1: keeps a 32x32 map.
    Cifar,
}

impl Stem {
    /// Its name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Imagenet => "imagenet",
            Self::Cifar => "cifar",
        }
    }
}

/// A ResNet for images of CIFAR-10's size.
///
/// # Panics
/// If the width is out of its range.
pub fn config(stem: Stem, width: u32, classes: u32) -> Config {
    let set = [("stem".to_owned(), stem.name().to_owned()), ("width".to_owned(), width.to_string())];
    RESNET18.config(Image::CIFAR, classes, &set).expect("the settings of a ResNet")
}

/// ResNet-18: images `[n, h, w, c]` to logits `[n, 1, 1, classes]`.
pub fn resnet18(t: &mut Tape, images: Tensor, config: &Config) -> Tensor {
    record(t, images, config, 0)
}

/// What the shapes of the first and last weight say.
fn read(shape: &ShapeOf<'_>) -> Option<Read> {
    let expansion = if bottleneck(shape) { 4 } else { 1 };
    let (stem, width, channels) = match shape("conv1.weight")?[..] {
        [width, channels, 7, 7] => (Stem::Imagenet, width, channels),
        [width, channels, 3, 3] => (Stem::Cifar, width, channels),
        _ => return None,
    };
    let [classes, inputs] = shape("fc.weight")?[..] else { return None };
    let settings = vec![("stem".into(), stem.name().into()), ("width".into(), width.to_string())];
    let image = Image { channels, ..Image::CIFAR };
    let read = Read { settings, classes, input: Some(image.into()) };
    (Some(inputs) == width.checked_mul(8 * expansion)).then_some(read)
}

/// Whether a file has the tensor of a convolution.
fn has(shape: &ShapeOf<'_>, stage: u32, block: u32, conv: u32) -> bool {
    shape(&format!("layer{stage}.{block}.conv{conv}.weight")).is_some()
}

fn bottleneck(shape: &ShapeOf<'_>) -> bool {
    has(shape, 1, 0, 3)
}

/// The number of blocks in each stage of a file's network; empty if it has none. No real file has more than 1,000 stages or
/// blocks; if one claims to, they are not all counted.
fn blocks(shape: &ShapeOf<'_>) -> Vec<u32> {
    let blocks = (1..).map(|stage| (0..1000).take_while(|&block| has(shape, stage, block, 1)).count() as u32);
    blocks.take(1000).take_while(|&count| count > 0).collect()
}

/// Whether a file's network has this depth.
fn is(shape: &ShapeOf<'_>, depth: usize) -> bool {
    let Depth { blocks: expected, bottleneck: bottle } = &DEPTHS[depth];
    blocks(shape) == expected && bottleneck(shape) == *bottle
}

/// Describes a residual network of another depth than those of [`ALL`](super::ALL); its depth counts the layers with weights,
/// as the paper does.
pub(super) fn relative(shape: &ShapeOf<'_>) -> Option<String> {
    let (blocks, bottleneck) = (blocks(shape), bottleneck(shape));
    if blocks.is_empty() || (0..DEPTHS.len()).any(|depth| is(shape, depth)) {
        return None;
    }
    let depth = 2 + blocks.iter().sum::<u32>() * if bottleneck { 3 } else { 2 };
    let list = blocks.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    Some(format!("a ResNet-{depth} ({list} {})", if bottleneck { "bottleneck blocks" } else { "basic blocks" }))
}

/// Images `[n, h, w, c]` to logits `[n, 1, 1, classes]`.
fn record(t: &mut Tape, images: Tensor, config: &Config, depth: usize) -> Tensor {
    let depth = &DEPTHS[depth];
    let (width, zero_init) = (config.settings.whole("width"), config.settings.flag("zero_init"));
    let mut x = if config.settings.choice("stem") == Stem::Imagenet.name() {
        let x = conv(t, "conv1", images, Conv2d { outputs: width, kernel: 7, stride: 2, padding: 3 });
        let x = norm(t, "bn1", x, BatchNorm::then(Activation::Relu));
        t.scope("maxpool", |t| max_pool2d(t, x, 3, 2, 1))
    } else {
        let x = conv(t, "conv1", images, Conv2d { outputs: width, kernel: 3, stride: 1, padding: 1 });
        norm(t, "bn1", x, BatchNorm::then(Activation::Relu))
    };
    for (stage, &blocks) in depth.blocks.iter().enumerate() {
        t.scope(format!("layer{}", stage + 1), |t| {
            for block in 0..blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                x = t.scope(block.to_string(), |t| residual(t, x, width << stage, stride, depth, zero_init));
            }
        });
    }
    let x = t.scope("avgpool", |t| global_avg_pool(t, x));
    let x = t.scope("dropout", |t| dropout(t, x, t.dropout));
    t.scope("fc", |t| linear(t, x, config.classes))
}

/// A block's convolutions and a shortcut around them, which has a 1x1 convolution where the shape changes.
fn residual(t: &mut Tape, x: Tensor, width: u32, stride: u32, depth: &Depth, zero_init: bool) -> Tensor {
    let (inputs, outputs) = (t.shape(x)[3], width * depth.expansion());
    let relu = BatchNorm::then(Activation::Relu);
    let mut last = "bn2";
    let y = if depth.bottleneck {
        last = "bn3";
        let y = conv(t, "conv1", x, Conv2d { outputs: width, kernel: 1, stride: 1, padding: 0 });
        let y = norm(t, "bn1", y, relu);
        let y = conv(t, "conv2", y, Conv2d { outputs: width, kernel: 3, stride, padding: 1 });
        let y = norm(t, "bn2", y, relu);
        conv(t, "conv3", y, Conv2d { outputs, kernel: 1, stride: 1, padding: 0 })
    } else {
        let y = conv(t, "conv1", x, Conv2d { outputs, kernel: 3, stride, padding: 1 });
        let y = norm(t, "bn1", y, relu);
        conv(t, "conv2", y, Conv2d { outputs, kernel: 3, stride: 1, padding: 1 })
    };
    // torchvision registers the shortcut after the last norm; parameters are exchanged by name, so the order here is free.
    let shortcut = if stride != 1 || inputs != outputs {
        t.scope("downsample", |t| {
            let z = conv(t, "0", x, Conv2d { outputs, kernel: 1, stride, padding: 0 });
            norm(t, "1", z, BatchNorm::default())
        })
    } else {
        x
    };
    norm(t, last, y, BatchNorm { add: Some(shortcut), zero_weight: zero_init, ..relu })
}

fn conv(t: &mut Tape, name: &str, x: Tensor, choices: Conv2d) -> Tensor {
    t.scope(name, |t| conv2d(t, x, choices))
}

fn norm(t: &mut Tape, name: &str, x: Tensor, options: BatchNorm) -> Tensor {
    t.scope(name, |t| batch_norm(t, x, options))
}
