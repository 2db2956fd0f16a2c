//! VeloGrad's mechanisms one by one, each by its effect on a step.

use pollster::block_on;
use velograd::{check::selftest::OptimizerInputs, optim::Stepper};

use super::{
    properties::{Set, after, build, widen},
    worst,
};
use crate::support::gpu;

const MECHANISMS: [&str; 6] = ["use_select", "use_loss", "use_norm", "use_sim", "use_adaptive_decay", "use_lookahead"];

/// Settings under which only these mechanisms act, without decay and without any memory but theirs.
fn only<'a>(on: &[&str]) -> Vec<(&'a str, &'a str)> {
    let off = MECHANISMS.into_iter().filter(|key| !on.contains(key)).map(|key| (key, "false"));
    [("weight_decay", "0"), ("beta1", "0"), ("beta2", "0")].into_iter().chain(off).collect()
}

/// The steps of successive updates, tensor by tensor, in units of the learning rate.
fn steps(set: Set, updates: &[[Vec<f32>; 2]], losses: &[f32]) -> Vec<Vec<Vec<f64>>> {
    let zeros: Vec<Vec<f32>> = updates[0].iter().map(|tensor| vec![0.0; tensor.len()]).collect();
    let rule = build("velograd", set);
    let lr = rule.lr();
    let mut stepper = block_on(Stepper::new(gpu().unwrap(), rule, &zeros)).unwrap();
    let mut before = zeros;
    let mut step = |(grads, &loss): (&[Vec<f32>; 2], &f32)| {
        block_on(stepper.step(grads, loss)).unwrap();
        let now = block_on(stepper.params()).unwrap();
        let moved = |(a, b): (&Vec<f32>, &Vec<f32>)| a.iter().zip(b).map(|(a, b)| f64::from(a - b) / lr).collect();
        let steps = now.iter().zip(&before).map(moved).collect();
        before = now;
        steps
    };
    updates.iter().zip(losses).map(&mut step).collect()
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-4 * expected.abs()
}

/// The cosine is 0 at first, 1 for a repeated gradient and -1 for a negated one, whatever the length; `scope=global`
/// takes all tensors together. Without memory the step is 1 + 0.1 cos.
#[test]
fn similarity_is_the_cosine() {
    let Some(_) = gpu() else { return };
    let (a, b) = (vec![0.3, 0.4], vec![1.2, -0.5, 0.0]);
    let times = |v: &[f32], by: f32| v.iter().map(|x| x * by).collect::<Vec<f32>>();
    let updates = [[a.clone(), b.clone()], [times(&a, 2.0), times(&b, -1.0)], [times(&a, 2.0), times(&b, -1.0)]];
    // Squared lengths: 0.25 and 1.69, then 1 and 1.69.
    let cosine = (2.0 * 0.25 - 1.69) / ((0.25 + 1.69) * (1.0 + 1.69_f64)).sqrt();
    for (scope, second) in [("tensor", [1.1, 0.9]), ("global", [1.0 + 0.1 * cosine; 2])] {
        let set = [only(&["use_sim"]), vec![("scope", scope)]].concat();
        let steps = steps(&set, &updates, &[1.0; 3]);
        for (update, expected) in [[1.0; 2], second, [1.1; 2]].iter().enumerate() {
            for (tensor, expected) in expected.iter().enumerate() {
                let found = steps[update][tensor][0].abs();
                assert!(close(found, *expected), "{scope}, update {}: {found} for {expected}", update + 1);
            }
        }
    }
}

/// A gradient of zero has no cosine, and neither has the one after it.
#[test]
fn similarity_with_a_zero_gradient_is_zero() {
    let Some(_) = gpu() else { return };
    let (g, zero) = ([vec![0.3, 0.4], vec![1.0]], [vec![0.0; 2], vec![0.0]]);
    let steps = steps(&only(&["use_sim"]), &[g.clone(), zero, g.clone(), g], &[1.0; 4]);
    for (update, expected) in [1.0, 0.0, 1.0, 1.1].into_iter().enumerate() {
        let found = steps[update][0][0].abs();
        assert!((found - expected).abs() < 1e-4, "update {}: {found} for {expected}", update + 1);
    }
}

/// s = 1 + 0.5 (1 - n) up to n = 1 and 1/n beyond. The step of a plain average is made of s n, which is continuous at
/// 1.
#[test]
fn selection_is_continuous_at_norm_one() {
    let Some(_) = gpu() else { return };
    // With beta1 = 0 and beta2 = 0.5, the second step is s g2 / sqrt(((s g1)^2 0.25 + (s g2)^2 0.5) / 0.75).
    let mut set = only(&["use_select"]);
    set.retain(|(key, _)| *key != "beta2");
    set.push(("beta2", "0.5"));
    let scale = |n: f64| if n <= 1.0 { 1.0 + 0.5 * (1.0 - n) } else { 1.0 / n };
    let second = |n: f64| {
        let updates = [[vec![0.5], vec![0.5]], [vec![n as f32], vec![0.5]]];
        let found = steps(&set, &updates, &[1.0; 2])[1][0][0].abs();
        let (a, b) = (scale(0.5) * 0.5, scale(n) * n);
        let expected = b / ((0.25 * a * a + 0.5 * b * b) / 0.75_f64).sqrt();
        assert!(close(found, expected), "n = {n}: {found} for {expected}");
        found
    };
    for n in [0.01, 0.3, 3.0, 100.0] {
        second(n);
    }
    let (below, at, above) = (second(1.0 - 1e-4), second(1.0), second(1.0 + 1e-4));
    assert!((below - at).abs() < 1e-3 && (above - at).abs() < 1e-3, "{below} {at} {above}");
}

/// The learning rate falls with a norm above 1 and never rises: its factor is 1/max(1, n).
#[test]
fn the_norm_lowers_the_rate() {
    let Some(_) = gpu() else { return };
    for (g, expected) in [(0.01, 1.0), (1.0, 1.0), (4.0, 0.25), (100.0, 0.01)] {
        let found = steps(&only(&["use_norm"]), &[[vec![g], vec![0.5]]], &[1.0])[0][0][0].abs();
        assert!(close(found, expected), "a gradient of {g}: {found} for {expected}");
    }
}

/// The average of the loss starts at 0 and is not corrected: a loss of ln 10 lowers the learning rate from update 57
/// on, when (1 - 0.99^t) ln 10 passes 1. A negative loss leaves the learning rate alone, where the notebook would
/// climb.
#[test]
fn the_loss_lowers_the_rate() {
    let Some(_) = gpu() else { return };
    let mut set = only(&["use_loss"]);
    set.retain(|(key, _)| *key != "beta2");
    let updates = vec![[vec![0.1], vec![0.1]]; 70];
    let found = steps(&set, &updates, &[std::f32::consts::LN_10; 70]);
    for (t, step) in (1..).zip(&found) {
        let average = std::f64::consts::LN_10 * (1.0 - 0.99_f64.powi(t));
        let expected = 1.0 / average.max(1.0);
        assert_eq!(average > 1.0, t >= 57, "update {t}");
        assert!((step[0][0].abs() - expected).abs() < 2e-3, "update {t}: {} for {expected}", step[0][0]);
        assert_eq!(step[0][0].abs() < 0.999, t >= 57, "update {t}: {}", step[0][0]);
    }
    let inputs = OptimizerInputs::new(&[3, 1030], 8);
    let with = |loss: f64| {
        let losses = vec![loss; inputs.losses.len()];
        after(
            build("velograd", &[]),
            &OptimizerInputs { losses, params: inputs.params.clone(), grads: inputs.grads.clone() },
        )
    };
    assert!(with(-5.0) == with(0.0), "a negative loss changed the rate");
    assert!(with(500.0) != with(0.0), "a high loss did not");
}

/// With alpha_interp = 0 nothing flows back from the slow weights: not one bit differs, wherever they are.
#[test]
fn without_interpolation_the_slow_weights_have_no_effect() {
    let Some(_) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[3, 1030], 11);
    let without = after(build("velograd", &[("use_lookahead", "false")]), &inputs);
    for alpha_slow in ["0", "0.5", "1"] {
        let set = [("alpha_interp", "0"), ("alpha_slow", alpha_slow), ("lookahead_k", "2")];
        assert!(after(build("velograd", &set), &inputs) == without, "alpha_slow={alpha_slow}");
    }
    assert!(after(build("velograd", &[]), &inputs) != without);
}

/// Global norms over one tensor are that tensor's own. (Each scope sums in its own order.)
#[test]
fn a_global_scope_over_one_tensor_is_that_tensor() {
    let Some(_) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[40_000], 11);
    let [one, other] = ["tensor", "global"].map(|scope| after(build("velograd", &[("scope", scope)]), &inputs));
    assert!(worst(&one, &widen(&other)) <= 1.0);
}

/// lambda_t = weight_decay cap(l) cap(||u||), tested without a gradient, so that u is 0 and only the loss matters, and
/// with an average of the loss above 1.
#[test]
fn decay_adapts_to_the_loss() {
    let Some(gpu) = gpu() else { return };
    for (adaptive, loss, cap) in [("true", 1.0, 1.0), ("true", 400.0, 0.25), ("false", 400.0, 1.0)] {
        let set = [("weight_decay", "0.5"), ("lr", "0.1"), ("use_loss", "false"), ("use_adaptive_decay", adaptive)];
        let mut stepper = block_on(Stepper::new(gpu, build("velograd", &set), &[vec![2.0]])).unwrap();
        block_on(stepper.step(&[vec![0.0]], loss)).unwrap(); // l = 0.01 loss
        let (found, expected) = (f64::from(block_on(stepper.params()).unwrap()[0][0]), 2.0 * (1.0 - 0.1 * 0.5 * cap));
        assert!(close(found, expected), "use_adaptive_decay={adaptive}, a loss of {loss}: {found} for {expected}");
    }
}

/// At first, ||u|| of a tensor of n elements is sqrt(n), which divides the decay with decay_norm=direction. The applied
/// update is shorter than 1, so with delta the decay is whole.
#[test]
fn decay_adapts_to_the_update() {
    let Some(gpu) = gpu() else { return };
    for (norm, cap) in [("direction", 1.0 / 8.0), ("delta", 1.0)] {
        let set = [("weight_decay", "0.5"), ("lr", "0.1"), ("decay_norm", norm), ("use_norm", "false")];
        let mut stepper = block_on(Stepper::new(gpu, build("velograd", &set), &[vec![2.0; 64]])).unwrap();
        block_on(stepper.step(&[vec![0.01; 64]], 1.0)).unwrap();
        let (found, expected) =
            (f64::from(block_on(stepper.params()).unwrap()[0][5]), (2.0 - 0.1) * (1.0 - 0.1 * 0.5 * cap));
        assert!(close(found, expected), "decay_norm={norm}: {found} for {expected}");
    }
}
