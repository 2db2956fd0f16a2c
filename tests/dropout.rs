//! Dropout's masks depend on seed, layer, epoch and sample, and neither on the kernels nor on how batches are cut.

use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

use pollster::block_on;
use velograd::{
    data::Image,
    device::{Gpu, runtime::Runtime},
    models,
    ops::{self, BatchNorm, Conv2d, Normalize, batch_norm, conv2d, dropout},
    program::{
        BufferKind, Input, Recording, Size, Tape, Tensor,
        product::{Choice, Gemm},
        step::Step,
        target::{Precision, Target},
    },
    random::Rng,
    training::network::{Plans, Recipe},
};

use crate::support::gpu;

/// Bytes of an image.
const IMAGE_BYTES: usize = Image::CIFAR.bytes();

/// Records a convolution, a batch norm and two dropouts in one scope, over `n` images; returns the results of the
/// dropouts too.
fn record(target: &Target, n: u32) -> (Recording, [Tensor; 2]) {
    let mut t = Tape::new(target, true);
    let draws = ops::draw(&mut t, n, Image::CIFAR, ops::Augment::NONE);
    let x = ops::augment(&mut t, n, Image::CIFAR, draws, ops::Augment::NONE, Normalize::HALF);
    let x = t.scope("conv", |t| conv2d(t, x, Conv2d { outputs: 12, kernel: 3, stride: 4, padding: 1 }));
    let x = t.scope("norm", |t| batch_norm(t, x, BatchNorm::default()));
    let dropped = t.scope("dropout", |t| [dropout(t, x, 0.3), dropout(t, x, 0.3)]);
    dropped.iter().for_each(|&tensor| t.keep(tensor));
    (t.finish(), dropped)
}

/// Which elements of each sample the two dropouts drop, with the sample's index, if the samples come in these batches.
fn masks(gpu: &Gpu, target: &Target, batches: &[Vec<u32>], [seed, epoch]: [u32; 2]) -> Vec<(u32, [Vec<bool>; 2])> {
    let n = batches[0].len();
    let (recording, dropped) = record(target, n as u32);
    let shape = recording.info(dropped[0]).shape;
    let recordings = [recording];
    let runtime = block_on(Runtime::new(gpu, &recordings, true)).unwrap();
    let floats = recordings[0].layout.param_floats() as usize;
    let mut rng = Rng::new(3);
    let params: Vec<f32> = (0..floats).map(|_| rng.range(0.2, 1.0) as f32).collect();
    runtime.write(runtime.buffer(&BufferKind::Params), &params);
    runtime.set_step(&Step { seed, epoch, ..Step::default() });
    let mut found = vec![];
    for batch in batches {
        assert_eq!(batch.len(), n);
        let image = |index: u32| {
            let mut rng = Rng::keyed(5, &[u64::from(index)]);
            (0..IMAGE_BYTES).map(|_| rng.u32() as u8).collect::<Vec<_>>()
        };
        let images: Vec<u8> = batch.iter().flat_map(|&index| image(index)).collect();
        runtime.write(runtime.buffer(&BufferKind::Input(Input::Samples)), &images);
        runtime.write(runtime.buffer(&BufferKind::Input(Input::Indices)), batch);
        block_on(runtime.run(&[0])).unwrap();
        let [_, h, w, c] = shape.map(|size| size as usize);
        let read = |tensor| block_on(runtime.read::<f32>(runtime.tensor(0, tensor), h * w * n * c)).unwrap();
        let values = dropped.map(read);
        for (place, &index) in batch.iter().enumerate() {
            // Stored as [h][w][n][c]; the results of batch norm are never exactly 0.
            let of = |values: &Vec<f32>| {
                let pixel = |pixel: usize| &values[(pixel * n + place) * c..][..c];
                (0..h * w).flat_map(|p| pixel(p).iter().map(|v| *v == 0.0)).collect::<Vec<_>>()
            };
            found.push((index, [of(&values[0]), of(&values[1])]));
        }
    }
    found.sort_by_key(|(index, _)| *index);
    found
}

/// The layers before may use any kernels, with or without batch norm's statistics fused into the convolution, and the
/// batch may come in two halves and in another order: a sample's mask is the same.
#[test]
fn a_mask_depends_on_nothing_but_the_sample() {
    let Some(gpu) = gpu() else { return };
    // Every core's tiles divide 32 images.
    let all: Vec<u32> = (0..32).map(|i| i * 37 % 101).collect();
    let expected = masks(gpu, &gpu.target, std::slice::from_ref(&all), [7, 2]);
    let dropped = expected.iter().flat_map(|(_, [first, _])| first).filter(|dropped| **dropped).count() as f64;
    let share = dropped / (32 * 8 * 8 * 12) as f64;
    assert!((share - 0.3).abs() < 0.02, "{share}");

    let mut calls = BTreeSet::new();
    for gemm in gpu.target.gemm.iter().copied().chain(Gemm::TILES) {
        for parts in [1, 3] {
            let target = Target { forced: Some(Choice { gemm, parts }), ..gpu.target.clone() };
            calls.insert(record(&target, 32).0.calls.len());
            assert!(masks(gpu, &target, std::slice::from_ref(&all), [7, 2]) == expected, "{gemm:?} in {parts} parts");
        }
    }
    assert!(calls.len() > 1, "every form has {calls:?} calls: nothing was fused");

    let halves: Vec<_> = all.chunks(16).map(<[u32]>::to_vec).collect();
    assert!(masks(gpu, &gpu.target, &halves, [7, 2]) == expected, "two batches of 16 images");
    let turned: Vec<u32> = all.iter().rev().copied().collect();
    assert!(masks(gpu, &gpu.target, &[turned], [7, 2]) == expected, "another order");

    for (what, other) in [("epoch", [7, 3]), ("seed", [8, 2])] {
        assert!(
            masks(gpu, &gpu.target, std::slice::from_ref(&all), other) != expected,
            "another {what}, the same masks"
        );
    }
    for (index, [first, second]) in &expected {
        assert!(first != second, "sample {index}: two dropouts of one scope drop the same");
    }
    assert!(expected[0].1 != expected[1].1, "two samples are masked alike");
}

/// The key of a layer's masks in a whole network is the same for every batch, precision, device class and choice of
/// products.
#[test]
fn a_layer_has_one_key_however_it_is_recorded() {
    let key = |target: &Target, model: usize, n: u32| {
        let config = crate::support::small(&models::ALL[model], 8, 10);
        let recipe = Recipe { dropout: 0.5, ..Recipe::default() };
        let plans = Plans {
            model: &models::ALL[model],
            config,
            recipe,
            train: vec![n],
            evaluate: vec![],
            target: target.clone(),
        };
        let calls = plans.record(n, true).calls;
        let dropouts = calls.iter().filter(|call| call.spec.path == "dropout/apply");
        let layer = |sizes: &[(Cow<'static, str>, Size)]| {
            sizes.iter().find(|(name, _)| *name == "layer").map(|(_, size)| *size)
        };
        let keys: Vec<_> = dropouts.map(|call| layer(&call.sizes).expect("a dropout has a key")).collect();
        // The backward pass comes through the layers from the last one to the first.
        let (forward, backward) = keys.split_at(keys.len() / 2);
        assert!(!forward.is_empty() && forward.iter().eq(backward.iter().rev()), "forward and backward: {keys:?}");
        assert!((1..forward.len()).all(|i| !forward[..i].contains(&forward[i])), "two layers drop the same: {keys:?}");
        keys
    };
    for model in 0..models::ALL.len() {
        let expected = key(&Target::portable(), model, 32);
        let tuned = Choice { gemm: Gemm::TILES[1], parts: 4 };
        for target in [
            Target::software(8),
            Target { forced: Some(tuned), ..Target::portable() },
            Target { tuned: Arc::default(), ..Target::portable().with(Precision::Mixed) },
        ] {
            for n in [5, 32] {
                assert_eq!(key(&target, model, n), expected, "{}", models::ALL[model].name);
            }
        }
    }
}
