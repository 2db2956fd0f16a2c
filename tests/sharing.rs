//! Sharing buffers between activations changes no bit of what a training step computes.

use pollster::block_on;
use velograd::models::resnet::{self, Stem, resnet18};
use velograd::ops::{self, Augment, Normalize};
use velograd::program::{Recording, Tape};
use velograd::{
    check::selftest::precisions,
    data::Image,
    program::{BufferKind, Input},
};
use velograd::{
    device::{Gpu, runtime::Runtime},
    program::{
        step::Step,
        target::{Precision, Target},
    },
};

use crate::support;

const BATCH: u32 = 6;

fn record(target: &Target) -> Recording {
    let mut t = Tape::new(target, true);
    let draws = ops::draw(&mut t, BATCH, Image::CIFAR, Augment::PAPER);
    let images = ops::augment(&mut t, BATCH, Image::CIFAR, draws, Augment::PAPER, Normalize::HALF);
    let logits = resnet18(&mut t, images, &resnet::config(Stem::Imagenet, 8, 10));
    ops::cross_entropy(&mut t, logits, 0.1);
    t.backward();
    t.finish()
}

/// Pseudo-random words, the same at every call; as floats between -0.5 and 0.5 if asked.
fn some(count: usize, floats: bool) -> Vec<u32> {
    let word = |i: u32| (i ^ 0x2545_f491).wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(0x9e37_79b1);
    let float = |word: u32| (f64::from(word) / 4_294_967_296.0 - 0.5) as f32;
    (0..count as u32).map(|i| if floats { float(word(i)).to_bits() } else { word(i) }).collect()
}

/// Two steps on the same buffers, so that the second starts from what the first left behind; returns gradients, running
/// statistics and report as words.
fn two_steps(gpu: &Gpu, precision: Precision, share: bool) -> Vec<Vec<u32>> {
    let recording = record(&gpu.target.with(precision));
    let layout = recording.layout.clone();
    let runtime = block_on(Runtime::new(gpu, &[recording], share)).expect("the device holds the network");
    let mut params = vec![0; layout.param_floats() as usize];
    for segment in &layout.params {
        // Only elements are written: padding is zero in training.
        let values: Vec<f32> = some(segment.shape.elements(), true).into_iter().map(f32::from_bits).collect();
        let stored = segment.shape.to_stored(&values).into_iter().map(f32::to_bits);
        params[segment.offset as usize..].iter_mut().zip(stored).for_each(|(param, value)| *param = value);
    }
    runtime.write(runtime.buffer(&BufferKind::Params), &params);
    runtime.write(
        runtime.buffer(&BufferKind::Input(Input::Samples)),
        &some(BATCH as usize * Image::CIFAR.bytes() / 4, false),
    );
    runtime.write(runtime.buffer(&BufferKind::Input(Input::Targets)), &[3u32, 1, 4, 1, 5, 9]);
    runtime.write(runtime.buffer(&BufferKind::Input(Input::Indices)), &[30u32, 10, 40, 11, 50, 90]);
    for epoch in 0..2 {
        runtime.set_step(&Step { loss_scale: 1.0 / BATCH as f32, seed: 1, epoch, ..Step::default() });
        block_on(runtime.run(&[0])).expect("the device runs the network");
    }
    let read = |kind: BufferKind| {
        let buffer = runtime.buffer(&kind);
        block_on(runtime.read::<u32>(buffer, (buffer.size() / 4) as usize)).expect("the device gives it back")
    };
    [BufferKind::Grads, BufferKind::Running, BufferKind::Report, BufferKind::Confusion].map(read).into()
}

#[test]
fn sharing_changes_no_bit() {
    let Some(gpu) = support::gpu() else { return };
    for precision in precisions(gpu) {
        let two_steps = |share| two_steps(gpu, precision, share);
        let (shared, separate) = (two_steps(true), two_steps(false));
        let gradients: Vec<f32> = shared[0].iter().map(|&word| f32::from_bits(word)).collect();
        assert!(gradients.iter().all(|g| g.is_finite()) && gradients.iter().any(|&g| g != 0.0), "gradients are real");
        assert!(shared == separate, "{precision:?}: sharing changes the results");
        assert!(shared == two_steps(true), "{precision:?}: a repetition changes the results");
    }
}
