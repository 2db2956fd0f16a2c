//! Every kernel against its f64 reference.

use std::collections::BTreeSet;

use pollster::block_on;
use velograd::ops::{Augment, Conv2d};
use velograd::program::shader::SHADERS;
use velograd::program::target::{Precision, Target};
use velograd::{
    check::selftest::{Case, Conv2dCase, Depth, Row, Table, check, execute, precisions, run, table, truth, variants},
    device::Opening,
    host::device::{open_as, opening},
};

use crate::support;

#[test]
fn every_kernel_is_within_its_bounds() {
    let Some(gpu) = support::gpu() else { return };
    let rows = block_on(run(gpu, Depth::Full, &mut |_, _| ())).expect("the device runs the table");
    let failed: Vec<Row> = rows.iter().filter(|row| !row.passed).cloned().collect();
    assert!(failed.is_empty(), "\n{}", Table(&failed));

    let tested: BTreeSet<&str> = rows.iter().map(|row| row.kernel.as_str()).collect();
    // The kernels in bench/ measure the device's ceilings; their results are not used.
    let no_kernel = |path: &&str| ["shared/", "bench/"].iter().any(|folder| path.starts_with(folder));
    let kernels = SHADERS.iter().map(|(path, _)| *path).filter(|path| !no_kernel(path));
    let missing: Vec<_> = kernels.filter(|path| !tested.contains(path)).collect();
    assert!(missing.is_empty(), "no case compares {missing:?}");
}

/// Unforeseen sizes: 60 random convolutions, with up to 9 a side, 40 channels and 40 images.
#[test]
fn random_convolutions_are_within_their_bounds() {
    let Some(gpu) = support::gpu() else { return };
    let mut state = 1_u32;
    let mut draw = |low: u32, high: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        low + (state >> 8) % (high - low + 1)
    };
    let variants = variants(gpu);
    for nth in 0..60 {
        let (kernel, stride, padding) = (draw(1, 5), draw(1, 3), draw(0, 3));
        let side = |drawn: u32| drawn.max(kernel.saturating_sub(2 * padding));
        let images = if draw(0, 3) == 0 { draw(1, 40) } else { draw(1, 5) };
        let input = [images, side(draw(1, 9)), side(draw(1, 9)), draw(1, 40)];
        let conv = Conv2d { outputs: draw(1, 40), kernel, stride, padding };
        let case = Conv2dCase { input, conv, shared: draw(0, 1) == 1 };
        let rows = block_on(check(gpu, &case, &[gpu.target.clone(), variants[nth % variants.len()].clone()]))
            .expect("the device runs the case");
        assert!(rows.iter().all(|row| row.passed), "\n{}", Table(&rows));
    }
}

/// Pipelines are compiled without run-time checks (see `Gpu::checked`); with checks the results must be the same.
#[test]
fn every_kernel_is_within_its_bounds_with_checks() {
    let Some(shared) = support::gpu() else { return };
    let opening = Opening { checked: !shared.checked, ..opening().unwrap() };
    let gpu = open_as(None, opening).expect("the adapter opens a second time");
    let rows = block_on(run(&gpu, Depth::Full, &mut |_, _| ())).expect("the device runs the table");
    let failed: Vec<Row> = rows.into_iter().filter(|row| !row.passed).collect();
    assert!(failed.is_empty(), "\n{}", Table(&failed));
}

/// An element that is off by twice its bound, a NaN, and a changed guard word each make their row fail, and no other.
#[test]
fn a_wrong_result_is_reported() {
    let Some(gpu) = support::gpu() else { return };
    let short: Vec<_> = table().into_iter().filter(|entry| entry.short).collect();
    for (entry, precision) in precisions(gpu).into_iter().flat_map(|p| short.iter().map(move |entry| (entry, p))) {
        // The smallest step that the type of the middle element can show.
        let (relative, absolute) = if precision == Precision::F32 { (1e-6, 1e-30) } else { (2e-3, 1e-3) };
        let case: &dyn Case = entry.case.as_ref();
        let target = Target::portable().with(precision);
        let (data, expected) = truth(&target, case);
        let run = || block_on(execute(gpu, &target, case, &data)).expect("the device runs the case");
        let failed = |rows: Vec<Row>| rows.into_iter().filter(|row| !row.passed).collect::<Vec<_>>();

        for part in &expected {
            let middle = part.value.len() / 2;
            let integer = part.value.iter().chain(&part.bound).all(|value| value.fract() == 0.0);
            let step = if integer { 1.0 } else { (2.5 * part.bound[middle]).max(relative * part.value[middle].abs()) };
            let off = part.value[middle] + step.max(absolute);
            for wrong in [off, f64::NAN] {
                if part.exempt > 0.0 || (integer && wrong.is_nan()) {
                    continue; // a share of the elements may differ; a u32 cannot be NaN
                }
                let mut outcome = run();
                outcome.disturb(part.port, middle, wrong);
                let rows = failed(outcome.rows(&case.name(), &expected));
                assert_eq!(rows.len(), 1, "{}: {} = {wrong}: {}", case.name(), part.port, Table(&rows));
                assert!(rows[0].case.ends_with(part.port), "{}", Table(&rows));
            }
        }
        let mut outcome = run();
        outcome.disturb_guard(expected[0].port);
        let rows = failed(outcome.rows(&case.name(), &expected));
        assert_eq!((rows.len(), rows[0].kernel.as_str()), (1, "guard words"), "{}", case.name());
    }
}

/// A whole wrong block of rotated images exceeds the share of pixels that may differ.
#[test]
fn a_share_of_wrong_pixels_is_reported() {
    let Some(gpu) = support::gpu() else { return };
    let case = velograd::check::selftest::AugmentCase {
        n: 5,
        image: velograd::data::Image::CIFAR,
        rotate: true,
        augment: Augment::PAPER,
    };
    let data = case.data();
    let mut outcome = block_on(execute(gpu, &Target::portable(), &case, &data)).expect("the device runs the case");
    let expected = case.expected(&data);
    assert!(outcome.rows("augment", &expected).iter().all(|row| row.passed));
    (0..expected[0].value.len() / 500).for_each(|i| outcome.disturb("out", i, 2.0));
    assert!(outcome.rows("augment", &expected).iter().any(|row| !row.passed));
}

#[test]
fn cases_have_different_names() {
    let mut seen = BTreeSet::new();
    for entry in table() {
        let recording = entry.case.recording(&Target::portable());
        let first = recording.calls[0].spec.path.clone();
        assert!(seen.insert((first.clone(), entry.case.name())), "{first}: {} is there twice", entry.case.name());
    }
}
