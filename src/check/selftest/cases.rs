//! The table of the sizes at which each op is tried: sizes that no tile divides, sizes of one, and the edges of each
//! kernel.

use super::{
    AdaptiveAvgPoolCase, AddCase, AddShareCase, AttentionCase, AugmentCase, AverageViewsCase, BatchNormCase, BiasCase,
    Case, ClassTokenCase, ClipCase, Conv2dCase, ConvNormCase, CopyCase, CrossCase, CrossEntropyCase, DrawCase,
    DropoutCase, EmbeddingCase, FirstPlaceCase, FirstRowCase, FlattenCase, FmaCase, GlobalAvgPoolCase, LayerNormCase,
    LinearCase, LstmCase, MaxPoolCase, MixedCrossEntropyCase, MixupCase, MoveRunningCase, PackCase, PositionsCase,
    QueriesKeys, QueriesKeysCase, ReluCase, ScaleCase, SinusoidsCase, TokensCase, Unary, UnaryCase,
};
use crate::{
    data::{Image, Tokens},
    ops::{Activation, Attention, Augment, Conv2d},
    optim::Clip,
};

/// A case and whether the short run includes it.
pub struct Entry {
    /// Op, size and inputs.
    pub case: Box<dyn Case>,
    /// Whether it is part of [`super::Depth::Short`].
    pub short: bool,
}

impl Entry {
    /// A case of the short run, and of the full one.
    pub fn short(case: impl Case + 'static) -> Self {
        Self { case: Box::new(case), short: true }
    }

    /// A case of the full run only.
    pub fn full(case: impl Case + 'static) -> Self {
        Self { case: Box::new(case), short: false }
    }
}

/// Every case but the optimizers', which are sequences of updates (`super::OPTIMIZER_CASES`).
pub fn table() -> Vec<Entry> {
    let parts = [convolutions(), normalizations(), pools(), sequences(), the_rest(), recipes()];
    parts.into_iter().flatten().collect()
}

fn convolutions() -> Vec<Entry> {
    // images, rows, columns, channels; outputs, filter, stride, padding; whether a second convolution shares the input
    let conv = |input, outputs, [kernel, stride, padding]: [u32; 3], shared| Conv2dCase {
        input,
        conv: Conv2d { outputs, kernel, stride, padding },
        shared,
    };
    let short = [
        conv([2, 9, 7, 20], 24, [3, 1, 1], true),
        conv([3, 9, 8, 8], 20, [3, 2, 1], false), // few channels: the weight's gradient takes a row of taps at once
        conv([5, 1, 1, 33], 17, [3, 1, 1], false), // eight of nine taps lie in the padding
    ];
    let full = [
        conv([2, 17, 18, 3], 16, [7, 2, 3], false), // torchvision's first layer
        conv([33, 4, 5, 3], 8, [3, 1, 1], false),   // the first layer for small images
        conv([1, 11, 13, 5], 7, [5, 3, 2], true),   // a stride of 3 that does not divide the map
        conv([70, 3, 3, 18], 70, [3, 1, 1], true),  // one image and one channel more than the tiles' 64
        conv([33, 5, 5, 36], 68, [3, 2, 1], false), // one image more than 32
        conv([4, 2, 2, 130], 66, [3, 1, 1], false), // many channels
        conv([1, 6, 5, 7], 130, [3, 1, 1], false),
        conv([2, 8, 8, 12], 28, [1, 2, 0], false), // three pixels of four get no gradient
        conv([2, 6, 6, 16], 10, [3, 2, 0], false), // the last row and column are never read
        conv([1, 2, 2, 3], 5, [3, 1, 1], false),
        conv([1, 2, 2, 17], 5, [3, 1, 1], false),
        conv([2, 1, 1, 6], 6, [7, 2, 3], false), // one of 49 taps lies on the map
        conv([2, 3, 2, 1], 1, [3, 2, 1], false),
        conv([1, 1, 1, 4], 4, [1, 1, 0], false),
        conv([2, 3, 3, 5], 6, [1, 1, 1], false), // outputs for which all taps lie in the padding
        conv([1, 1, 40, 20], 4, [3, 1, 1], false),
        conv([9, 8, 8, 64], 64, [3, 1, 1], false), // several tiles in every dimension
        conv([64, 1, 1, 512], 512, [3, 1, 1], false), // the last layers for small images
    ];
    // Numbers of images that every core's tile divides, and that some do not; columns in one half of a tile, and in
    // both.
    let normalized = |input, outputs, [kernel, stride, padding]: [u32; 3]| ConvNormCase {
        input,
        conv: Conv2d { outputs, kernel, stride, padding },
    };
    let behind = [normalized([128, 2, 2, 5], 70, [3, 1, 1]), normalized([48, 3, 3, 8], 20, [1, 2, 0])];
    let full = full.into_iter().map(Entry::full).chain(behind.into_iter().map(Entry::full));
    let first = Entry::short(normalized([32, 2, 1, 8], 12, [3, 1, 1]));
    short.into_iter().map(Entry::short).chain([first]).chain(full).collect()
}

fn normalizations() -> Vec<Entry> {
    let plain = BatchNormCase {
        input: [6, 5, 7, 10],
        training: true,
        add: false,
        activation: Activation::None,
        airbench: false,
        shared: false,
        mean_range: [5.0, 3.0],
    };
    let relu = BatchNormCase { activation: Activation::Relu, mean_range: [0.0, 1.0], ..plain };
    let residual = BatchNormCase { add: true, ..relu };
    let gelu = BatchNormCase { activation: Activation::Gelu, airbench: true, ..relu };
    let short = [
        plain,
        BatchNormCase { input: [4, 3, 5, 33], ..residual },
        BatchNormCase { input: [3, 2, 3, 9], shared: true, ..residual },
        BatchNormCase { training: false, ..residual },
        BatchNormCase { training: false, ..plain },
        gelu,
    ];
    let full = [
        BatchNormCase { input: [4, 8, 8, 16], ..relu },
        BatchNormCase { input: [64, 1, 1, 33], add: true, mean_range: [-2.0, 1.0], ..plain },
        BatchNormCase { input: [9, 7, 5, 6], mean_range: [1000.0, 1.0], ..plain }, // a mean much larger than the deviation
        BatchNormCase { input: [9, 7, 5, 6], mean_range: [3.0, 0.0], ..plain },    // a deviation of zero
        BatchNormCase { input: [1, 1, 1, 6], ..plain }, // one row: PyTorch raises an error, here y = beta
        BatchNormCase { input: [17, 1, 1, 5], ..relu }, // a chunk of one row
        BatchNormCase { input: [33, 12, 13, 7], ..relu }, // more rows than 256 chunks of 16
        BatchNormCase { input: [2, 2, 2, 260], ..residual }, // more channels than a workgroup's 64 vectors
        BatchNormCase { input: [65, 9, 9, 4], shared: true, ..residual },
        BatchNormCase { input: [1, 1, 1, 3], training: false, ..relu },
        BatchNormCase { input: [70, 3, 3, 66], training: false, add: true, ..plain },
        BatchNormCase { input: [33, 12, 13, 7], airbench: false, mean_range: [-2.0, 3.0], ..gelu },
        BatchNormCase { input: [17, 1, 1, 5], ..gelu },
        BatchNormCase { input: [5, 6, 7, 70], training: false, ..gelu },
    ];
    short.into_iter().map(Entry::short).chain(full.into_iter().map(Entry::full)).collect()
}

fn pools() -> Vec<Entry> {
    let pool = |input, [kernel, stride, padding]: [u32; 3], ties, shared| MaxPoolCase {
        input,
        kernel,
        stride,
        padding,
        ties,
        shared,
    };
    let mean = |input, shared| GlobalAvgPoolCase { input, shared };
    let means = |input, out, shared| AdaptiveAvgPoolCase { input, out, shared };
    vec![
        Entry::short(pool([3, 16, 15, 5], [3, 2, 1], false, false)),
        Entry::short(pool([2, 8, 8, 3], [3, 2, 1], true, true)),
        Entry::full(pool([1, 1, 1, 4], [3, 2, 1], false, false)),
        Entry::full(pool([2, 5, 5, 9], [3, 1, 1], true, false)),
        Entry::full(pool([70, 9, 8, 6], [5, 3, 2], false, true)),
        Entry::full(pool([2, 5, 7, 6], [2, 2, 0], false, false)), // the last row and column are in no window
        Entry::full(pool([1, 7, 7, 4], [1, 3, 0], false, false)), // gaps between windows
        Entry::short(mean([3, 4, 4, 37], false)),
        Entry::full(mean([65, 2, 3, 5], true)),
        Entry::full(mean([1, 1, 1, 4], false)),
        Entry::short(means([3, 5, 7, 6], 3, true)),  // windows overlap
        Entry::full(means([70, 1, 1, 5], 7, false)), // one pixel in every window
        Entry::full(means([2, 14, 21, 68], 7, false)),
        Entry::full(means([5, 2, 3, 4], 4, true)), // windows of one pixel and of several
        Entry::short(FlattenCase { input: [5, 3, 4, 6], shared: true }),
        Entry::full(FlattenCase { input: [3, 1, 7, 1], shared: false }), // rows that four does not divide
        Entry::full(FlattenCase { input: [70, 7, 7, 33], shared: false }),
    ]
}

fn unary(shape: [u32; 4], op: Unary, shared: bool) -> UnaryCase {
    UnaryCase { shape, op, shared }
}

fn sequences() -> Vec<Entry> {
    let norm = |input, bias, shared, mean_range| LayerNormCase { input, centre: true, bias, shared, mean_range };
    let rms = |input, shared, mean_range| LayerNormCase { centre: false, ..norm(input, false, shared, mean_range) };
    let attention = |n, places, d, [heads, causal, dropout]: [f32; 3], scale| AttentionCase {
        n,
        places,
        d,
        options: Attention { heads: heads as u32, causal: causal > 0.0, dropout },
        scale,
    };
    let lstm = |[n, places, inputs, units]: [u32; 4], evaluated| LstmCase { n, places, inputs, units, evaluated };
    let tokens = |n, places, vocabulary, c| EmbeddingCase { n, places, vocabulary, c };
    let turned = |shape, shared| QueriesKeysCase { shape, op: QueriesKeys::Rope, shared };
    let scaled = |shape, shared| QueriesKeysCase { shape, op: QueriesKeys::Norm, shared };
    vec![
        Entry::short(norm([3, 5, 70], true, true, [0.0, 1.0])),
        Entry::short(norm([2, 3, 24], false, false, [5.0, 3.0])),
        Entry::full(norm([1, 1, 1], true, false, [0.0, 1.0])), // a deviation of zero: y = bias
        Entry::full(norm([2, 9, 5], true, false, [3.0, 0.0])),
        Entry::full(norm([33, 17, 260], true, false, [-2.0, 1.0])), // several chunks of rows
        Entry::full(norm([5, 40, 7], false, true, [0.0, 100.0])),
        Entry::short(rms([3, 5, 70], true, [1.0, 1.0])),
        Entry::full(rms([33, 17, 260], false, [0.0, 100.0])),
        Entry::full(rms([1, 1, 1], false, [0.0, 0.0])), // a mean square of zero: y = 0
        Entry::short(lstm([5, 3, 9, 18], false)),
        Entry::full(lstm([3, 2, 5, 7], true)),
        Entry::full(lstm([1, 1, 1, 1], false)),
        Entry::full(lstm([33, 2, 3, 70], false)), // one sample and some units more than a tile
        Entry::full(lstm([2, 9, 40, 4], false)),
        Entry::full(lstm([70, 1, 17, 33], true)),
        Entry::short(tokens(3, 7, 5, 20)),
        Entry::full(tokens(1, 1, 2, 1)),
        Entry::full(tokens(70, 9, 300, 33)),
        Entry::full(tokens(2, 80, 2, 300)),
        Entry::short(PositionsCase { input: [3, 7, 20], more: 2, shared: true }),
        Entry::full(PositionsCase { input: [70, 1, 5], more: 0, shared: false }),
        Entry::full(PositionsCase { input: [3, 7, 5], more: 0, shared: true }),
        Entry::short(SinusoidsCase { input: [3, 7, 18], shared: true }),
        Entry::full(SinusoidsCase { input: [1, 1, 1], shared: false }),
        Entry::full(SinusoidsCase { input: [2, 300, 33], shared: false }),
        Entry::short(CrossCase { shape: [3, 7, 8], shared: true }),
        Entry::full(CrossCase { shape: [1, 1, 4], shared: false }),
        Entry::full(CrossCase { shape: [5, 70, 36], shared: false }),
        Entry::short(FirstRowCase { input: [3, 7, 20], shared: true }),
        Entry::full(FirstRowCase { input: [70, 41, 5], shared: false }),
        Entry::short(PackCase { input: [3, 7, 20], shared: true }),
        Entry::full(PackCase { input: [1, 1, 4], shared: false }),
        Entry::full(PackCase { input: [70, 9, 68], shared: false }),
        Entry::short(attention(2, 9, 8, [3.0, 1.0, 0.0], 1.0)),
        Entry::short(attention(2, 70, 16, [2.0, 1.0, 0.3], 1.0)),
        Entry::full(attention(1, 1, 4, [1.0, 1.0, 0.0], 1.0)),
        Entry::full(attention(3, 5, 64, [1.0, 0.0, 0.0], 1.0)),
        Entry::full(attention(2, 130, 12, [2.0, 0.0, 0.5], 3.0)),
        Entry::full(attention(2, 130, 8, [2.0, 1.0, 0.0], 8.0)), // one key has nearly all the weight
        Entry::short(turned([2, 9, 3, 16], true)),
        Entry::full(turned([1, 1, 1, 8], false)),
        Entry::full(turned([3, 300, 2, 64], false)), // angles of many turns
        Entry::short(scaled([2, 9, 3, 12], true)),
        Entry::full(scaled([1, 1, 1, 4], false)),
        Entry::full(scaled([3, 40, 2, 64], false)),
        Entry::short(ClassTokenCase { input: [3, 2, 3, 10], shared: true }),
        Entry::full(ClassTokenCase { input: [1, 1, 1, 1], shared: false }),
        Entry::full(ClassTokenCase { input: [70, 7, 7, 33], shared: false }),
        Entry::short(FirstPlaceCase { input: [3, 7, 1, 10], shared: true }),
        Entry::full(FirstPlaceCase { input: [1, 1, 1, 1], shared: false }),
        Entry::full(FirstPlaceCase { input: [70, 9, 1, 33], shared: false }),
        Entry::short(AddCase { shape: [3, 5, 5, 6], shared: true }),
        Entry::full(AddCase { shape: [1, 1, 1, 1], shared: false }),
        Entry::short(unary([3, 5, 5, 6], Unary::Activation(Activation::GeluTanh), true)),
        Entry::full(unary([30, 1, 1, 1], Unary::Activation(Activation::Gelu), false)),
        Entry::short(unary([3, 5, 5, 6], Unary::Activation(Activation::Relu2), true)),
        Entry::full(unary([1, 30, 30, 1], Unary::Activation(Activation::Relu), false)),
        Entry::short(unary([3, 5, 5, 6], Unary::Widen, true)),
        Entry::full(unary([1, 1, 1, 1], Unary::Widen, false)),
    ]
}

fn the_rest() -> Vec<Entry> {
    let linear = |n, inputs, outputs| LinearCase { n, places: 1, inputs, outputs };
    let loss =
        |n, classes, scale, smoothing| CrossEntropyCase { n, places: [1, 1], classes, scale, smoothing, counted: 1 };
    let losses = |n, places, classes| CrossEntropyCase { places, ..loss(n, classes, 3.0, 0.1) };
    let masked = |n, places, classes, counted| CrossEntropyCase { counted, ..losses(n, places, classes) };
    let tokens = |n, length, vocabulary| TokensCase { n, tokens: Tokens { length, vocabulary } };
    let relu = |shape, add, shared| ReluCase { shape, add, shared, training: true };
    vec![
        Entry::short(linear(9, 70, 10)),
        Entry::full(linear(1, 1, 2)),
        Entry::full(linear(33, 512, 10)),
        Entry::full(linear(70, 33, 66)),
        Entry::full(LinearCase { n: 3, places: 7, inputs: 12, outputs: 36 }),
        Entry::short(loss(13, 10, 3.0, 0.1)),
        Entry::short(loss(70, 10, 60.0, 0.0)),
        Entry::full(loss(13, 10, 0.0, 0.0)), // all equal: the first class is predicted
        Entry::full(loss(1, 2, 1.0, 0.3)),
        Entry::full(loss(130, 100, 60.0, 0.1)),
        Entry::full(loss(5, 101, 1000.0, 0.1)),
        Entry::short(loss(7, 1000, 20.0, 0.1)), // a workgroup for each row
        Entry::full(loss(3, 65, 0.0, 0.1)),     // all equal, and lanes without a class
        Entry::full(loss(2, 50_257, 10.0, 0.0)),
        Entry::short(losses(5, [7, 1], 10)), // several targets to a sample
        Entry::full(losses(3, [4, 6], 33)),
        Entry::short(losses(3, [5, 1], 70)),
        Entry::full(losses(2, [3, 3], 1030)),
        Entry::short(masked(5, [7, 1], 10, 6)), // most targets are ignored
        Entry::full(masked(13, [1, 1], 10, 3)), // and not counted in the confusion matrix
        Entry::short(masked(3, [5, 1], 70, 4)),
        Entry::full(masked(9, [1, 1], 101, 2)),
        Entry::short(tokens(5, 7, 65)),
        Entry::full(tokens(1, 1, 2)),
        Entry::full(tokens(67, 33, 50_257)),
        Entry::short(relu([3, 5, 5, 6], false, true)),
        Entry::short(relu([4, 5, 5, 6], true, true)),
        Entry::full(relu([1, 1, 1, 1], false, false)),
        Entry::full(relu([2, 9, 9, 32], true, false)),
        Entry::short(BiasCase { input: [3, 5, 4, 24], activation: Activation::Gelu, shared: true }),
        Entry::full(BiasCase { input: [70, 31, 31, 6], activation: Activation::Gelu, shared: false }),
        Entry::short(BiasCase { input: [3, 5, 4, 24], activation: Activation::GeluTanh, shared: true }),
        Entry::full(BiasCase { input: [70, 31, 31, 6], activation: Activation::GeluTanh, shared: false }),
        Entry::full(BiasCase { input: [70, 5, 3, 6], activation: Activation::Relu2, shared: true }),
        Entry::full(BiasCase { input: [1, 1, 1, 1], activation: Activation::Relu, shared: false }),
        Entry::full(BiasCase { input: [2, 31, 30, 33], activation: Activation::None, shared: true }),
        Entry::short(unary([5, 1, 1, 10], Unary::Scale(1.0 / 256.0), true)),
        Entry::full(unary([3, 5, 7, 6], Unary::Scale(-3.0), false)),
        // More workgroups than one dimension of a grid holds.
        Entry::full(ReluCase { shape: [1, 2049, 2048, 1], add: false, shared: false, training: false }),
        Entry::short(AugmentCase { n: 5, image: Image::CIFAR, rotate: false, augment: Augment::PAPER }),
        Entry::short(AugmentCase { n: 16, image: Image::CIFAR, rotate: true, augment: Augment::PAPER }),
        Entry::full(AugmentCase { n: 70, image: Image::CIFAR, rotate: true, augment: Augment::PAPER }),
        Entry::short(AugmentCase { n: 5, image: Image::MNIST, rotate: true, augment: Augment::PAPER }),
        Entry::full(AugmentCase {
            n: 67,
            image: Image { channels: 3, height: 21, width: 33 },
            rotate: true,
            augment: Augment::PAPER,
        }),
        Entry::full(AugmentCase {
            n: 3,
            image: Image { channels: 1, height: 13, width: 5 },
            rotate: false,
            augment: Augment::AIRBENCH,
        }),
        Entry::short(AugmentCase { n: 5, image: Image::CIFAR, rotate: false, augment: Augment::AIRBENCH }),
        Entry::short(AugmentCase { n: 3, image: Image::CIFAR, rotate: false, augment: Augment::VIEWS }),
        Entry::full(AugmentCase { n: 70, image: Image::CIFAR, rotate: false, augment: Augment::VIEWS }),
        Entry::short(DrawCase { n: 70, image: Image::CIFAR, augment: Augment::PAPER, epoch: 3 }),
        Entry::full(DrawCase { n: 5, image: Image::CIFAR, augment: Augment::NONE, epoch: 3 }),
        Entry::short(DrawCase { n: 70, image: Image::CIFAR, augment: Augment::AIRBENCH, epoch: 3 }),
        Entry::full(DrawCase { n: 70, image: Image::CIFAR, augment: Augment::AIRBENCH, epoch: 4 }),
        Entry::short(DrawCase { n: 13, image: Image::CIFAR, augment: Augment::VIEWS, epoch: 0 }),
        Entry::short(augmented(5, Image::CIFAR, "resized-crop,flip,erase:0.9", false)),
        Entry::short(augmented(
            7,
            Image { channels: 1, height: 13, width: 5 },
            "resized-crop:0.5,rotate:180,erase:1",
            true,
        )),
        Entry::full(augmented(66, Image { channels: 3, height: 9, width: 21 }, "imagenet", false)),
        Entry::full(augmented(9, Image::MNIST, "crop:40,rotate:90", true)),
        Entry::full(augmented(9, Image { channels: 3, height: 6, width: 11 }, "crop:5:reflect,flip,erase:0.5", false)),
        Entry::full(augmented(5, Image { channels: 3, height: 1, width: 1 }, "crop:1,flip,rotate:45", true)),
        Entry::short(drawn(130, Image::CIFAR, "resized-crop,flip,rotate:30,erase:0.5")),
        Entry::full(drawn(130, Image { channels: 3, height: 224, width: 224 }, "imagenet,erase:1")),
        Entry::full(drawn(130, Image { channels: 1, height: 5, width: 13 }, "resized-crop:0.9,erase:1")),
        Entry::full(drawn(
            70,
            Image { channels: 1, height: 40, width: 10 },
            "resized-crop:1,flip:alternating,erase:0.1",
        )),
        Entry::full(drawn(70, Image::MNIST, "crop:1024,rotate:180")),
        Entry::short(augmented(5, Image::CIFAR, "flip,jitter:0.4:0.4:0.4:0.1,erase:0.5", false)),
        Entry::short(augmented(7, Image { channels: 1, height: 13, width: 5 }, "crop:2,jitter:0.5:0.5:0.5:0.5", false)),
        Entry::full(augmented(130, Image { channels: 3, height: 9, width: 21 }, "imagenet,jitter:2:3:1:0.5", false)),
        Entry::full(augmented(66, Image::CIFAR, "paper,jitter:0.8:0:0.8:0.2", true)),
        Entry::full(augmented(9, Image { channels: 3, height: 1, width: 1 }, "jitter:0:0.3", false)),
        Entry::full(augmented(40, Image { channels: 3, height: 6, width: 11 }, "jitter:0:0:0:0.5", false)),
        Entry::full(augmented(5, Image::MNIST, "jitter:0:0:1:0.1", false)), // which changes no image in grey
        Entry::short(drawn(130, Image::CIFAR, "crop:4,flip,jitter:0.4:0.4:0.4:0.1")),
        Entry::full(drawn(70, Image::MNIST, "imagenet,rotate:30,jitter:3:0:0.5:0.5,erase:0.5")),
        Entry::short(AddShareCase { len4: 70 }),
        Entry::full(AddShareCase { len4: 1 }),
        Entry::full(AddShareCase { len4: 5000 }),
        Entry::short(MoveRunningCase { c4: 70, momentum: 0.1 }),
        Entry::full(MoveRunningCase { c4: 1, momentum: 1.0 }),
        Entry::short(MixupCase { n: 5, image: Image::CIFAR, lambda: 0.3 }),
        Entry::full(MixupCase { n: 1, image: Image::MNIST, lambda: 0.7 }),
        Entry::full(MixupCase { n: 70, image: Image { channels: 3, height: 13, width: 5 }, lambda: 1.0 }),
        Entry::short(mixed(13, 10, 3.0, 0.1, 0.3)),
        Entry::short(mixed(7, 1000, 20.0, 0.0, 0.8)),
        Entry::full(mixed(1, 2, 1.0, 0.3, 0.4)),
        Entry::full(mixed(130, 100, 60.0, 0.1, 0.5)),
        Entry::full(mixed(5, 101, 1000.0, 0.1, 0.0)),
        Entry::full(mixed(3, 65, 0.0, 0.1, 1.0)),
        Entry::short(AverageViewsCase { n: 13, classes: 10 }),
        Entry::full(AverageViewsCase { n: 1, classes: 3 }),
        Entry::short(CopyCase { len: 5000 }),
        Entry::short(FmaCase { groups: 2, turns: 1 }),
    ]
}

fn augmented(n: u32, image: Image, list: &str, rotate: bool) -> AugmentCase {
    AugmentCase { n, image, rotate, augment: list.parse().expect("a list of the table is read") }
}

fn drawn(n: u32, image: Image, list: &str) -> DrawCase {
    DrawCase { n, image, augment: list.parse().expect("a list of the table is read"), epoch: 3 }
}

fn mixed(n: u32, classes: u32, scale: f32, smoothing: f32, lambda: f32) -> MixedCrossEntropyCase {
    MixedCrossEntropyCase { n, classes, scale, smoothing, lambda }
}

fn recipes() -> Vec<Entry> {
    let clip = |len, value, norm| ClipCase { len, clip: Clip { value, norm }, own: None };
    let own = |len, value, norm, own| ClipCase { len, clip: Clip { value, norm }, own: Some(own) };
    let scale = |skipped, exponent, good| ScaleCase { skipped, exponent, good };
    vec![
        Entry::short(DropoutCase { shape: [9, 1, 1, 70], p: 0.5 }),
        Entry::full(DropoutCase { shape: [1, 1, 1, 1], p: 0.1 }),
        Entry::full(DropoutCase { shape: [70, 1, 1, 33], p: 0.9 }),
        Entry::full(DropoutCase { shape: [5, 3, 2, 10], p: 0.3 }),
        Entry::short(clip(1030, Some(0.5), Some(1.0))),
        Entry::full(clip(20_000, None, Some(2.0))),
        Entry::full(clip(3, Some(0.25), None)),
        Entry::full(clip(20_000, Some(0.5), None)),
        Entry::full(clip(5, None, Some(100.0))), // the norm is below the limit: nothing changes
        Entry::full(own(1030, None, None, 1.0)),
        Entry::full(own(70, Some(0.75), Some(2.0), 0.5)), // the rule's limit is lower
        Entry::full(own(70, None, Some(2.0), 3.0)),       // and here the other
        Entry::short(scale(true, 16, 7)),
        Entry::short(scale(false, 16, 1999)),
        Entry::full(scale(false, 16, 7)),
        Entry::full(scale(true, 0, 0)), // the scale does not fall below 1
        Entry::full(scale(false, 126, 1999)),
    ]
}
