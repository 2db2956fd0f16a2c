//! torchvision's ResNet-18 with ten classes and torchvision's names.

use burn::{
    module::Module,
    nn::{
        BatchNorm, BatchNormConfig, Initializer, Linear, LinearConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
        pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, MaxPool2d, MaxPool2dConfig},
    },
    tensor::{Device, Tensor, activation::relu},
};

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub enum Stem {
    /// 7x7 with stride 2, and a max-pool
    Imagenet,
    /// 3x3, no pool
    Cifar,
}

#[derive(Module, Debug)]
pub struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    maxpool: Option<MaxPool2d>,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
    avgpool: AdaptiveAvgPool2d,
    fc: Linear,
}

#[derive(Module, Debug)]
pub struct Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    downsample: Option<Downsample>,
}

#[derive(Module, Debug)]
pub struct Downsample {
    conv: Conv2d,
    bn: BatchNorm,
}

fn conv(from: usize, to: usize, kernel: usize, stride: usize, device: &Device) -> Conv2d {
    let pad = kernel / 2;
    Conv2dConfig::new([from, to], [kernel; 2])
        .with_stride([stride; 2])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_bias(false)
        .with_initializer(Initializer::KaimingNormal { gain: 2.0_f64.sqrt(), fan_out_only: true })
        .init(device)
}

fn layer(from: usize, to: usize, stride: usize, device: &Device) -> Vec<Block> {
    vec![Block::new(from, to, stride, device), Block::new(to, to, 1, device)]
}

impl Block {
    fn new(from: usize, to: usize, stride: usize, device: &Device) -> Self {
        let norm = || BatchNormConfig::new(to).init(device);
        let downsample = (stride > 1).then(|| Downsample { conv: conv(from, to, 1, stride, device), bn: norm() });
        Self {
            conv1: conv(from, to, 3, stride, device),
            bn1: norm(),
            conv2: conv(to, to, 3, 1, device),
            bn2: norm(),
            downsample,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = relu(self.bn1.forward(self.conv1.forward(x.clone())));
        let y = self.bn2.forward(self.conv2.forward(y));
        let skip = match &self.downsample {
            Some(down) => down.bn.forward(down.conv.forward(x)),
            None => x,
        };
        relu(y + skip)
    }
}

impl ResNet {
    pub fn new(stem: Stem, device: &Device) -> Self {
        let (kernel, stride) = if stem == Stem::Imagenet { (7, 2) } else { (3, 1) };
        let pool = || {
            let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
            MaxPool2dConfig::new([3, 3]).with_strides([2, 2]).with_padding(padding).init()
        };
        Self {
            conv1: conv(3, 64, kernel, stride, device),
            bn1: BatchNormConfig::new(64).init(device),
            maxpool: (stem == Stem::Imagenet).then(pool),
            layer1: layer(64, 64, 1, device),
            layer2: layer(64, 128, 2, device),
            layer3: layer(128, 256, 2, device),
            layer4: layer(256, 512, 2, device),
            avgpool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            fc: LinearConfig::new(512, 10).init(device),
        }
    }

    /// Images [n, 3, 32, 32] to logits [n, 10].
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut x = relu(self.bn1.forward(self.conv1.forward(images)));
        if let Some(pool) = &self.maxpool {
            x = pool.forward(x);
        }
        for block in [&self.layer1, &self.layer2, &self.layer3, &self.layer4].into_iter().flatten() {
            x = block.forward(x);
        }
        self.fc.forward(self.avgpool.forward(x).flatten(1, 3))
    }
}
