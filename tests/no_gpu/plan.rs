//! Tensors that share a buffer are never alive at the same time, which is checked for every pair.

use std::collections::HashMap;

use velograd::data::Image;
use velograd::models::resnet::{self, Stem, resnet18};
use velograd::ops::{self, Augment, Normalize};
use velograd::program::shader::{Access, Const};
use velograd::program::target::Target;
use velograd::program::{Recording, Slot, Tape, Tensor, plan::Plan};

/// The first and last call that mention each tensor; a kept one lives to the end.
fn lives(recording: &Recording) -> Vec<(Tensor, usize, usize)> {
    let mut lives: HashMap<Tensor, (usize, usize)> = HashMap::new();
    for (at, call) in recording.calls.iter().enumerate() {
        for (slot, _) in &call.args {
            if let Slot::Tensor(tensor) = slot {
                lives.entry(*tensor).or_insert((at, at)).1 = at;
            }
        }
    }
    let last = |tensor: Tensor, last| if recording.info(tensor).keep { usize::MAX } else { last };
    lives.into_iter().map(|(tensor, (first, end))| (tensor, first, last(tensor, end))).collect()
}

fn check(recordings: &[Recording], what: &str) {
    for share in [true, false] {
        let plan = Plan::new(recordings, share);
        for (index, recording) in recordings.iter().enumerate() {
            let lives = lives(recording);
            for (i, &(a, from, to)) in lives.iter().enumerate() {
                let buffer = plan.buffer(index, a).expect("a mentioned tensor has a buffer");
                assert!(plan.pool[buffer] >= 4 * recording.info(a).words, "{what}: a buffer is too short");
                for &(b, other_from, other_to) in &lives[..i] {
                    let together = from <= other_to && other_from <= to;
                    let shared = plan.buffer(index, b) == Some(buffer);
                    assert!(!(shared && together), "{what}: two live tensors in buffer {buffer}");
                    assert!(share || !shared, "{what}: tensors share a buffer, and none should");
                }
            }
        }
    }
}

/// A tensor must be written before it is read or added to.
fn written_before_read(recording: &Recording, what: &str) {
    let mut written = Vec::new();
    for call in &recording.calls {
        let accumulates = call.spec.consts.contains(&("ACCUMULATE".into(), Const::Bool(true)));
        for (at, (slot, access)) in call.args.iter().enumerate() {
            let Slot::Tensor(tensor) = slot else { continue };
            let needs = *access == Access::Read || (accumulates && at + 1 == call.args.len());
            assert!(!needs || written.contains(tensor), "{what}: {} reads what nothing has written", call.spec);
        }
        written.extend(
            call.args
                .iter()
                .filter(|(_, access)| *access == Access::ReadWrite)
                .filter_map(|(slot, _)| if let Slot::Tensor(tensor) = slot { Some(*tensor) } else { None }),
        );
    }
}

fn resnet(stem: Stem, training: bool, batch: u32) -> Recording {
    let mut t = Tape::new(&Target::portable(), training);
    let augment = if training { Augment::PAPER } else { Augment::NONE };
    let draws = ops::draw(&mut t, batch, Image::CIFAR, augment);
    let images = ops::augment(&mut t, batch, Image::CIFAR, draws, augment, Normalize::HALF);
    let logits = resnet18(&mut t, images, &resnet::config(stem, 16, 10));
    t.keep(logits);
    ops::cross_entropy(&mut t, logits, 0.0);
    t.backward();
    t.finish()
}

#[test]
fn networks_never_share_live_buffers() {
    for stem in [Stem::Imagenet, Stem::Cifar] {
        let recordings = [resnet(stem, true, 32), resnet(stem, true, 7), resnet(stem, false, 32)];
        check(&recordings, &format!("{stem:?}"));
        recordings.iter().for_each(|recording| written_before_read(recording, &format!("{stem:?}")));
    }
}

/// The pool is at most half as large again as the largest size of tensors alive at once, which no plan can go below.
#[test]
fn the_pool_is_close_to_what_is_alive() {
    for stem in [Stem::Imagenet, Stem::Cifar] {
        let recording = resnet(stem, true, 32);
        let (pool, lives) = (Plan::new([&recording], true).bytes(), lives(&recording));
        let bytes = |tensor: Tensor| 4 * recording.info(tensor).words;
        let alive = |at: usize| lives.iter().filter(|l| (l.1..=l.2).contains(&at)).map(|l| bytes(l.0)).sum::<u64>();
        let peak = (0..recording.calls.len()).map(alive).max().expect("a network has calls");
        let separate: u64 = lives.iter().map(|l| bytes(l.0)).sum();
        println!("{stem:?}: {peak} bytes alive at most, {pool} planned, {separate} without sharing");
        assert!(peak <= pool && 2 * pool <= 3 * peak, "{stem:?}: {peak} bytes alive at most, {pool} planned");
    }
}

/// Calls of kernels that do not exist, over tensors of various sizes, some kept.
fn synthetic(seed: u32) -> Recording {
    let mut state = seed;
    let mut random = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    let mut t = Tape::new(&Target::portable(), false);
    let mut tensors = vec![t.scratch(64)];
    for _ in 0..60 {
        let inputs: Vec<Tensor> = (0..random(4)).map(|_| tensors[random(tensors.len())]).collect();
        let outputs: Vec<Tensor> = (0..1 + random(2)).map(|_| t.scratch(1 << random(12))).collect();
        if random(10) == 0 {
            t.keep(outputs[0]);
        }
        let call = inputs.iter().fold(t.call("no kernel"), |call, &tensor| call.read(tensor));
        outputs.iter().fold(call, |call, &tensor| call.write(tensor)).over(1);
        tensors.extend(outputs);
    }
    t.finish()
}

#[test]
fn random_programs_never_share_live_buffers() {
    for seed in 0..200 {
        check(&[synthetic(2 * seed), synthetic(2 * seed + 1)], &format!("seed {seed}"));
    }
}
