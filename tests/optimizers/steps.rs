//! Single rules: first steps, spikes, constant gradients, and what their papers say of a learning rate or a bound.

use pollster::block_on;
use velograd::{
    check::selftest::{OptimizerInputs, narrow, optimizer_bound},
    optim::{Optimizer, Stepper},
};

use super::properties::{Set, build};
use crate::support::gpu;

/// The steps of parameters that start at zero, in units of the learning rate: update by update, element by element.
fn steps(optimizer: Box<dyn Optimizer>, grads: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let lr = optimizer.lr();
    let mut before = vec![0.0; grads[0].len()];
    let mut stepper = block_on(Stepper::new(gpu().unwrap(), optimizer, &[before.clone()])).unwrap();
    let step = |grads: &Vec<f32>| {
        block_on(stepper.step(std::slice::from_ref(grads), 1.0)).unwrap();
        let now = block_on(stepper.params()).unwrap().remove(0);
        let moved = now.iter().zip(&before).map(|(a, b)| (f64::from(*a) - f64::from(*b)) / lr).collect();
        before = now;
        moved
    };
    grads.iter().map(step).collect()
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-3 * expected.abs()
}

/// The first update in units of the learning rate, opposite to the gradient's sign whatever its size.
#[test]
fn first_steps() {
    let Some(gpu) = gpu() else { return };
    let sizes: &[(&str, f64)] = &[
        ("adam", 1.0),
        ("adamw", 1.0),
        ("rmsprop", 10.0),
        ("adagrad", 1.0),
        ("nadam", 1.056),
        ("adabelief", 1.0 / 0.9),
        ("laprop", 1.0),
        ("adabound", 1.0),
        ("amvt", 0.743),
        ("vradam", 1.0),
        ("mvngrad", 1.0 / 0.9),
        ("lion", 1.0),
        ("nadamw", 1.9),
        ("signum", 1.0),
        ("ademamix", 1.0002),
        ("lamb", 1.0),
        ("adan", 1.0),
    ];
    for (name, size) in sizes {
        let mut set = vec![("lr", "0.001")];
        set.extend(if *name == "rmsprop" || *name == "adagrad" { None } else { Some(("weight_decay", "0")) });
        set.extend((*name == "vradam").then_some(("beta3", "0")));
        set.extend((*name == "amvt").then_some(("eps", "1e-20")));
        let mut stepper = block_on(Stepper::new(gpu, build(name, &set), &[vec![0.0; 4]])).unwrap();
        block_on(stepper.step(&[vec![100.0, -0.2, 3e-2, 0.0]], 1.0)).unwrap();
        let params = block_on(stepper.params()).unwrap();
        for (found, sign) in params[0].iter().zip([-1.0, 1.0, -1.0, 0.0]) {
            let off = (f64::from(*found) - 1e-3 * size * sign).abs();
            assert!(off <= 1e-3 * 1e-3 * size, "{name}: {found} for {size} times the rate");
        }
    }
}

/// First steps that depend on the gradient's size, in units of the learning rate.
#[test]
fn first_steps_that_follow_the_gradient() {
    let Some(_) = gpu() else { return };
    let g = [100.0, -0.2, 3e-3, 1e-7];
    type Step = fn(f64) -> f64;
    let table: &[(&str, Set, Step)] = &[
        ("sgd", &[], |g| g),
        // The buffer starts as the gradient, without dampening.
        ("sgd", &[("momentum", "0.9"), ("dampening", "0.5")], |g| g),
        ("sgd", &[("momentum", "0.9"), ("nesterov", "true")], |g| 1.9 * g),
        // Both eps are inside the roots, and the mean squared step is that before this step: 0.
        ("adadelta", &[], |g| 1e-6_f64.sqrt() / (0.1 * g * g + 1e-6).sqrt() * g),
        // The first update is not rectified yet.
        ("radam", &[], |g| g),
        // A tensor of zeros has no norm, so the trust ratio is 1.
        ("lars", &[("weight_decay", "0.1")], |g| g),
        // eps inside the root is a floor of 1e-4: the step is 10 g at a learning rate of 0.001, for all smaller
        // gradients.
        ("amvt", &[], |g| g / ((1.0 + 0.81) * g * g + 1e-8).sqrt()),
        ("amvt", &[("eps_mode", "outside")], |g| g / (1.0 + 0.81 * g * g / (g * g + 1e-8)).sqrt() / (g.abs() + 1e-8)),
        ("amvt", &[("bias_corrected", "false")], |g| 0.1 * g / ((1.0 + 0.81) * g * g + 1e-8).sqrt()),
        ("schedulefree", &[("warmup_steps", "4")], |g| 0.25 * g / (g.abs() + 1e-8)),
        // The rate is 10 lr/|g|, for m = 0.1 g, clamped to the bounds at t = 1: a third of final_lr, and three times
        // it.
        ("adabound", &[("gamma", "0.5"), ("final_lr", "0.01")], |g| {
            (1e-2 / g.abs()).clamp(1e-2 / 3.0, 3e-2) * 0.1 * g / 1e-3
        }),
    ];
    for (name, set, step) in table {
        let found = &steps(build(name, set), &[g.to_vec()])[0];
        for (found, g) in found.iter().zip(g) {
            let expected = -step(f64::from(g));
            assert!(near(*found, expected), "{name} {set:?}, a gradient of {g}: {found} for {expected}");
        }
    }
}

/// With beta2 = 0.999, rho passes 5 at the sixth update: five steps are proportional to the gradient, the next ones
/// have size r.
#[test]
fn radam_is_rectified_from_the_sixth_update_on() {
    let Some(_) = gpu() else { return };
    let found = steps(build("radam", &[]), &vec![vec![20.0, -3.0]; 8]);
    for (t, step) in (1..).zip(&found) {
        let longest = 2.0 / (1.0 - 0.999) - 1.0;
        let power = 0.999_f64.powi(t);
        let rho = longest - 2.0 * f64::from(t) * power / (1.0 - power);
        assert_eq!(rho > 5.0, t >= 6, "update {t}");
        let r = ((rho - 4.0) * (rho - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * rho)).sqrt();
        let expected = if t < 6 { [20.0, 3.0] } else { [r, r] };
        assert!(near(-step[0], expected[0]) && near(step[1], expected[1]), "update {t}: {step:?} for {expected:?}");
    }
}

/// eta = lr / (1 + min(beta3 ||m||^2, alpha1)), where m is uncorrected and the norm is over all tensors; or with
/// ||g||^2.
#[test]
fn vradam_slows_down_with_the_norm_over_all_tensors() {
    let Some(gpu) = gpu() else { return };
    let grads = [vec![3.0, -4.0], vec![12.0]];
    let squared = 169.0;
    let table: &[(Set, f64)] = &[
        (&[], 1.0 + 0.01 * squared),
        (&[("norm_of", "grad"), ("beta3", "0.02")], 1.0 + 0.02 * squared),
        (&[("norm_of", "grad")], 11.0),
        (&[("norm_of", "grad"), ("alpha1", "3")], 4.0),
        (&[("beta3", "0")], 1.0),
    ];
    for (set, divisor) in table {
        let mut stepper = block_on(Stepper::new(
            gpu,
            build("vradam", &[set, &[("weight_decay", "0")][..]].concat()),
            &[vec![0.0; 2], vec![0.0]],
        ))
        .unwrap();
        block_on(stepper.step(&grads, 1.0)).unwrap();
        for (found, sign) in block_on(stepper.params()).unwrap().iter().flatten().zip([-1.0, 1.0, -1.0]) {
            let found = f64::from(*found) / 1e-3;
            assert!(near(found, sign / divisor), "{set:?}: {found} for {sign} / {divisor}");
        }
    }
}

/// The rate of AdaBound stays between its bounds, whatever the gradient's size. The bounds converge to final_lr, so in
/// the end the rule is momentum without bias correction.
#[test]
fn adabound_ends_as_momentum_at_its_final_rate() {
    let Some(_) = gpu() else { return };
    let sizes = [1e3, 1.0, 1e-3];
    let grads: Vec<Vec<f32>> =
        (1..=400).map(|t| sizes.map(|size| size * (1.0 + 0.5 * (t as f32).sin())).to_vec()).collect();
    let found = steps(build("adabound", &[("gamma", "0.5"), ("final_lr", "0.05")]), &grads);
    let mut m = [0.0; 3];
    for (t, (grads, steps)) in (1..).zip(grads.iter().zip(&found)) {
        let bounds = [1.0 - 1.0 / (0.5 * f64::from(t) + 1.0), 1.0 + 1.0 / (0.5 * f64::from(t))];
        for i in 0..3 {
            m[i] = 0.9 * m[i] + 0.1 * f64::from(grads[i]);
            let rate = -steps[i] * 1e-3 / m[i] / 0.05;
            // p has moved by four hundred steps, so its rounding is that much larger relative to one of them.
            assert!(rate >= bounds[0] - 1e-4 && rate <= bounds[1] + 1e-4, "update {t}: {rate} outside {bounds:?}");
        }
    }
}

/// The step is the sign of beta1 m + (1-beta1) g, and the sign of 0 is 0: momentum outweighs a gradient of a ninth of
/// it, and with beta1 = 0 the step is the gradient's sign. m is updated with beta2 after the step.
#[test]
fn lion_takes_signs() {
    let Some(_) = gpu() else { return };
    let grads = [vec![1.0, 1.0, 0.0], vec![-0.05, -0.2, 0.0], vec![0.0, 0.0, 0.0]];
    // m is 0.01 after the first update, so 0.9 m = 0.009 is added to 0.1 g = -0.005 and -0.02; then m is 0.0094 and
    // 0.0079.
    let found = steps(build("lion", &[("lr", "0.01")]), &grads);
    assert_eq!(
        found.iter().map(|s| s.iter().map(|v| v.round()).collect::<Vec<_>>()).collect::<Vec<_>>(),
        [[-1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [-1.0, -1.0, 0.0]]
    );
    let found = steps(build("lion", &[("lr", "0.01"), ("beta1", "0")]), &grads);
    assert_eq!(found[1].iter().map(|v| v.round()).collect::<Vec<_>>(), [1.0, 1.0, 0.0]);
    assert!(found[2].iter().all(|v| *v == 0.0), "{:?}", found[2]);
}

/// The evaluation point x is the mean of the points z that the steps have reached (for r = 0 and a constant rate), and
/// gradients are taken at y = beta1 x + (1-beta1) z. After one update the three are equal.
#[test]
fn schedulefree_is_evaluated_at_the_mean() {
    let Some(gpu) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[40], 14);
    let mut stepper =
        block_on(Stepper::new(gpu, build("schedulefree", &[("lr", "0.01")]), &narrow(&inputs.params))).unwrap();
    let mut sum = vec![0.0; 40];
    for (t, grads) in (1..).zip(&inputs.grads) {
        block_on(stepper.step(&narrow(grads), 1.0)).unwrap();
        let (x, y) = (block_on(stepper.evaluation_params()).unwrap(), block_on(stepper.params()).unwrap());
        for i in 0..40 {
            let (x, y) = (f64::from(x[0][i]), f64::from(y[0][i]));
            sum[i] += (y - 0.9 * x) / 0.1;
            let mean = sum[i] / f64::from(t);
            // z is computed from y with ten times its error.
            assert!((x - mean).abs() <= 10.0 * optimizer_bound(mean), "update {t}: {x} for {mean}");
            assert!(t > 1 || (x - y).abs() <= 1e-6, "after one update: {x} and {y}");
        }
    }
}

/// One spike moves MVN-Grad by at most (1-beta1) / (beta1*sqrt(1-beta2)) = 3.51 times the learning rate more than its
/// usual steps, however large the spike is (section 4 of the paper: momentum after normalization).
#[test]
fn a_spike_moves_mvngrad_by_a_bounded_step() {
    let Some(gpu) = gpu() else { return };
    for size in [1e2, 1e5, 1e8] {
        let mut stepper = block_on(Stepper::new(gpu, build("mvngrad", &[]), &[vec![0.0; 2]])).unwrap();
        let (mut last, mut usual, mut peak) = (0.0, 0.0_f32, 0.0_f32);
        for t in 0..60 {
            let noise = [0.1, -0.2, 0.15, -0.05, 0.12][t % 5];
            block_on(stepper.step(&[vec![if t == 40 { size } else { noise }, noise]], 1.0)).unwrap();
            let now = block_on(stepper.params()).unwrap()[0][0];
            let moved = (now - last).abs();
            if t < 40 {
                usual = usual.max(moved)
            } else {
                peak = peak.max(moved)
            }
            last = now;
        }
        let bound = 0.1 / (0.9 * 0.001_f32.sqrt()) * 1e-3 + usual;
        assert!(peak.is_finite() && peak <= bound, "a spike of {size}: {peak}, the bound is {bound}");
    }
}

/// Under a constant gradient the distance from the mean vanishes and the step grows, in multiples of the learning rate,
/// until eps_s, which is added at every update, stops it (section 4 of the paper). AdaBelief does the same.
#[test]
fn a_constant_gradient_lets_steps_grow() {
    let Some(gpu) = gpu() else { return };
    type Sizes<'a> = &'a [(u32, f64)];
    let table: &[(&str, Set, Sizes)] = &[
        ("mvngrad", &[], &[(1, 1.1), (10, 1.4), (100, 4.7), (500, 12.2), (2000, 38.4)]),
        ("mvngrad", &[("eps_s", "1e-8")], &[(2000, 24.4)]),
        ("adabelief", &[], &[(1, 1.1), (2000, 38.6)]),
    ];
    for (name, set, sizes) in table {
        let mut stepper = block_on(Stepper::new(gpu, build(name, set), &[vec![0.0]])).unwrap();
        let mut before = 0.0;
        for t in 1..=sizes[sizes.len() - 1].0 {
            if sizes.iter().any(|(at, _)| *at == t) {
                before = f64::from(block_on(stepper.params()).unwrap()[0][0]);
            }
            block_on(stepper.step(&[vec![0.1]], 1.0)).unwrap();
            if let Some((_, size)) = sizes.iter().find(|(at, _)| *at == t) {
                let found = (before - f64::from(block_on(stepper.params()).unwrap()[0][0])) / 1e-3;
                // The sizes are given to one decimal; the other term is the effect of rounding p to f32 on one step.
                let bound = 0.05 + 1e-3 * size;
                assert!((found - size).abs() <= bound, "{name} {set:?}, update {t}: {found}, not {size}");
            }
        }
    }
}
