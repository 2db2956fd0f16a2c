//! What must hold of the rules whatever the numbers: identities between them, first steps, zero gradients, spikes.

use velograd::{
    optim::{self, Lookahead, Optimizer, Stepper},
    selftest::{OPTIMIZER_CASES, OptimizerInputs, narrow, optimizer_bound},
};

use super::{has, pairs, worst};
use crate::support::gpu;

type Set<'a> = &'a [(&'a str, &'a str)];

fn build(name: &str, set: Set) -> Box<dyn Optimizer> {
    optim::build(name, &pairs(set)).unwrap_or_else(|fault| panic!("{name}: {fault}")).0
}

/// The parameters after all updates of the inputs.
fn after(optimizer: Box<dyn Optimizer>, inputs: &OptimizerInputs) -> Vec<Vec<f32>> {
    let mut stepper = Stepper::new(gpu().unwrap(), optimizer, &narrow(&inputs.params)).unwrap();
    for (grads, &loss) in inputs.grads.iter().zip(&inputs.losses) {
        stepper.step(&narrow(grads), loss as f32).unwrap();
    }
    stepper.params().unwrap()
}

fn widen(tensors: &[Vec<f32>]) -> Vec<Vec<f64>> {
    tensors.iter().map(|t| t.iter().map(|&v| f64::from(v)).collect()).collect()
}

/// Rules that are special cases of each other.
#[test]
fn identities() {
    let Some(_) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[3, 1030], 14);
    let same: &[(&str, Set, &str, Set)] = &[
        ("vradam", &[("beta3", "0"), ("weight_decay", "0.01")], "adamw", &[("weight_decay", "0.01")]),
        ("laprop", &[("beta1", "0"), ("lr", "0.001"), ("eps", "1e-8")], "adam", &[("beta1", "0")]),
        ("laprop", &[("official", "true")], "laprop", &[]),
        ("adamw", &[("weight_decay", "0")], "adam", &[]),
        // Without gamma the bounds are 0 and infinity; tiny, eps may stand before or after the correction.
        ("adabound", &[("gamma", "0"), ("eps", "1e-20")], "adam", &[("eps", "1e-20")]),
        (
            "adabound",
            &[("gamma", "0"), ("eps", "1e-20"), ("amsbound", "true")],
            "adam",
            &[("eps", "1e-20"), ("amsgrad", "true")],
        ),
        // The mean is the gradient and has no variance around it.
        ("amvt", &[("beta1", "0"), ("eps", "1e-24")], "adam", &[("beta1", "0"), ("eps", "1e-12")]),
        // (1 + s/(v+eps))^(-1/2) / sqrt(v+eps) is 1 / sqrt(v + s + eps), which is what the kernel has for `inside`.
        ("amvt", &[("eps", "1e-20")], "amvt", &[("eps", "1e-20"), ("eps_mode", "outside")]),
        ("radam", &[("beta2", "0.5")], "adabelief", &[("beta2", "0.5"), ("rectify", "true")]),
        ("adan", &[("beta2", "0"), ("beta3", "0.999"), ("beta1", "0.9")], "adam", &[]),
    ];
    for (a, set_a, b, set_b) in same {
        let (one, other) = (after(build(a, set_a), &inputs), after(build(b, set_b), &inputs));
        let worst = worst(&one, &widen(&other));
        assert!(worst <= 1.0, "{a} {set_a:?} is not {b} {set_b:?}: {worst:.2} times the bound");
    }
}

/// With alpha = 1 the slow weights are the fast ones: not one bit is different.
#[test]
fn a_whole_lookahead_is_none() {
    let Some(_) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[3, 1030], 7);
    for entry in optim::ALL {
        let wrapped = Lookahead { k: 2, alpha: 1.0 }.around(build(entry.name, &[]));
        assert!(after(wrapped, &inputs) == after(build(entry.name, &[]), &inputs), "{}", entry.name);
    }
}

/// VeloGrad's lookahead resets the weights to the slow ones with alpha_interp = 1.
#[test]
fn velograd_contains_lookahead() {
    let Some(_) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[3, 1030], 14);
    let mut set = vec![("weight_decay", "0"), ("lr", "0.001"), ("beta2", "0.999"), ("alpha_interp", "1")];
    set.extend(["use_select", "use_loss", "use_norm", "use_sim", "use_adaptive_decay"].map(|key| (key, "false")));
    let wrapped = "5,0.5".parse::<Lookahead>().unwrap().around(build("adam", &[]));
    assert!(worst(&after(build("velograd", &set), &inputs), &widen(&after(wrapped, &inputs))) <= 1.0);
}

/// A parameter that never gets a gradient stays where it is, to the bit, but for decay.
#[test]
fn zero_gradients_move_nothing() {
    let Some(_) = gpu() else { return };
    let mut inputs = OptimizerInputs::new(&[40, 1030], 12);
    let dead = |tensor: usize, i: usize| tensor == 0 || i.is_multiple_of(3);
    for grads in &mut inputs.grads {
        for (tensor, values) in grads.iter_mut().enumerate() {
            values.iter_mut().enumerate().filter(|(i, _)| dead(tensor, *i)).for_each(|(_, g)| *g = 0.0);
        }
    }
    let start = narrow(&inputs.params);
    let variants: &[Set] =
        &[&[], &[("momentum", "0.9")], &[("amsgrad", "true")], &[("rectify", "true")], &[("eps_mode", "outside")]];
    let still = ("weight_decay", "0");
    for entry in optim::ALL {
        let has = |key: &str| entry.settings.iter().any(|s| s.key == key);
        for set in variants.iter().filter(|set| set.iter().all(|(key, _)| has(key))) {
            let set = if has("weight_decay") { [*set, &[still]].concat() } else { set.to_vec() };
            let end = after(build(entry.name, &set), &inputs);
            for (tensor, values) in end.iter().enumerate() {
                for (i, value) in values.iter().enumerate().filter(|(i, _)| dead(tensor, *i)) {
                    assert!(*value == start[tensor][i], "{} {set:?}: [{tensor}][{i}]", entry.name);
                }
            }
        }
    }
    // With decay: the factor of one update.
    let decays: &[(&str, Set, f64)] = &[
        ("adamw", &[], 1.0 - 0.01 * 0.1),
        ("laprop", &[], 1.0 - 0.01 * 0.1),
        ("laprop", &[("official", "true")], 1.0 - 0.1),
        ("adabelief", &[], 1.0 - 0.01 * 0.1),
        ("adabelief", &[("wd_mode", "fixed")], 1.0 - 0.1),
        ("mvngrad", &[], 1.0 - 0.01 * 0.1),
        ("lion", &[], 1.0 - 0.01 * 0.1),
        ("adan", &[], 1.0 / (1.0 + 0.01 * 0.1)),
        ("adan", &[("no_prox", "true")], 1.0 - 0.01 * 0.1),
        ("amvt", &[], 1.0 - 0.1),
        ("amvt", &[("wd_mode", "decoupled")], 1.0 - 0.01 * 0.1),
        ("nadam", &[("decoupled_weight_decay", "true")], 1.0 - 0.01 * 0.1),
        ("vradam", &[("beta3", "0")], 1.0 - 0.01 * 0.1),
        ("vradam", &[("beta3", "1e20")], 1.0 - 0.01 / 11.0 * 0.1),
    ];
    for (name, set, factor) in decays {
        let set = [*set, &[("lr", "0.01"), ("weight_decay", "0.1")]].concat();
        let end = &after(build(name, &set), &inputs)[0];
        for (found, start) in end.iter().zip(&inputs.params[0]) {
            let expected = start * factor.powi(12);
            assert!((f64::from(*found) - expected).abs() <= optimizer_bound(expected), "{name} {set:?}: {found}");
        }
    }
}

/// The first update in units of the rate, against the gradient's sign and whatever its size.
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
        ("adan", 1.0),
    ];
    for (name, size) in sizes {
        let mut set = vec![("lr", "0.001")];
        set.extend(if *name == "rmsprop" || *name == "adagrad" { None } else { Some(("weight_decay", "0")) });
        set.extend((*name == "vradam").then_some(("beta3", "0")));
        set.extend((*name == "amvt").then_some(("eps", "1e-20")));
        let mut stepper = Stepper::new(gpu, build(name, &set), &[vec![0.0; 4]]).unwrap();
        stepper.step(&[vec![100.0, -0.2, 3e-2, 0.0]], 1.0).unwrap();
        let params = stepper.params().unwrap();
        for (found, sign) in params[0].iter().zip([-1.0, 1.0, -1.0, 0.0]) {
            let off = (f64::from(*found) - 1e-3 * size * sign).abs();
            assert!(off <= 1e-3 * 1e-3 * size, "{name}: {found} for {size} times the rate");
        }
    }
}

/// One spike moves MVN-Grad by at most (1-beta1) / (beta1*sqrt(1-beta2)) = 3.51 times the rate beyond what moves it
/// anyway, however large it is (section 4 of the paper: momentum after normalization).
#[test]
fn a_spike_moves_mvngrad_by_a_bounded_step() {
    let Some(gpu) = gpu() else { return };
    for size in [1e2, 1e5, 1e8] {
        let mut stepper = Stepper::new(gpu, build("mvngrad", &[]), &[vec![0.0; 2]]).unwrap();
        let (mut last, mut usual, mut peak) = (0.0, 0.0_f32, 0.0_f32);
        for t in 0..60 {
            let noise = [0.1, -0.2, 0.15, -0.05, 0.12][t % 5];
            stepper.step(&[vec![if t == 40 { size } else { noise }, noise]], 1.0).unwrap();
            let now = stepper.params().unwrap()[0][0];
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

/// Of a constant gradient the deviation vanishes and the step grows, as in f64: 1.1, 1.4, 4.7 times the rate at t = 1, 10, 100.
#[test]
fn a_constant_gradient_lets_mvngrad_grow_slowly() {
    let Some(gpu) = gpu() else { return };
    let mut stepper = Stepper::new(gpu, build("mvngrad", &[]), &[vec![0.0]]).unwrap();
    let mut last = 0.0;
    for t in 1..=100 {
        stepper.step(&[vec![0.1]], 1.0).unwrap();
        let now = stepper.params().unwrap()[0][0];
        if let Some(size) = [(1, 1.11), (10, 1.4), (100, 4.7)].iter().find(|(at, _)| *at == t).map(|(_, size)| size) {
            let found = (last - now) / 1e-3;
            assert!((found - size).abs() < 0.05_f32.max(0.01 * size), "update {t}: {found} times the rate, not {size}");
        }
        last = now;
    }
}

/// Words of state per parameter: no more than the rule, as it is set, has use for.
#[test]
fn words_of_state() {
    let table: &[(&str, Set, usize)] = &[
        ("sgd", &[], 0),
        ("sgd", &[("momentum", "0.9")], 1),
        ("adam", &[], 2),
        ("adam", &[("amsgrad", "true")], 3),
        ("adamw", &[], 2),
        ("rmsprop", &[], 1),
        ("rmsprop", &[("centered", "true")], 2),
        ("rmsprop", &[("centered", "true"), ("momentum", "0.9")], 3),
        ("adagrad", &[], 1),
        ("adadelta", &[], 2),
        ("nadam", &[], 2),
        ("radam", &[], 2),
        ("adabelief", &[], 2),
        ("laprop", &[], 2),
        ("laprop", &[("official", "true")], 2),
        ("adabound", &[], 2),
        ("adabound", &[("amsbound", "true")], 3),
        ("amvt", &[], 3),
        ("vradam", &[], 2),
        ("mvngrad", &[], 3),
        ("lion", &[], 1),
        ("adan", &[], 4),
        ("velograd", &[], 4),
    ];
    for (name, set, words) in table {
        let optimizer = build(name, set);
        assert_eq!(optimizer.words(), *words, "{name} {set:?}");
        assert_eq!(Lookahead { k: 5, alpha: 0.5 }.around(optimizer).words(), words + 1, "{name} {set:?}");
    }
}

/// A tensor that weight decay leaves out moves as without decay, to the bit, and the others as with it. Where the decay of a
/// rule is no more than its bound this would say nothing: in every case it is.
#[test]
fn decay_leaves_out_what_it_is_told_to() {
    let Some(gpu) = gpu() else { return };
    let dims = [vec![13], vec![1030], vec![70], vec![12, 5, 3, 3], vec![9, 20]];
    let inputs = OptimizerInputs::new(&dims.iter().map(|d| d.iter().product()).collect::<Vec<_>>(), 14);
    let end = |name: &str, set: Set, left_out: &[usize]| {
        let start = narrow(&inputs.params);
        let mut stepper = Stepper::excluding(gpu, &gpu.target, build(name, set), &dims, &start, left_out).unwrap();
        for (grads, &loss) in inputs.grads.iter().zip(&inputs.losses) {
            stepper.step(&narrow(grads), loss as f32).unwrap();
        }
        stepper.params().unwrap()
    };
    for (name, set) in OPTIMIZER_CASES.iter().filter(|(_, set)| has(set, "no_decay")) {
        let set: Vec<_> = set.iter().copied().filter(|(key, _)| !["no_decay", "lookahead"].contains(key)).collect();
        let zeros = ["weight_decay", "aux_weight_decay"].iter().filter(|key| has(&set, key)).map(|key| (*key, "0"));
        let without: Vec<_> = set.iter().copied().chain(zeros).collect();
        let (all, none, some) = (end(name, &set, &[]), end(name, &without, &[]), end(name, &set, &[1, 4]));
        for (i, found) in some.iter().enumerate() {
            let expected = if [1, 4].contains(&i) { &none[i] } else { &all[i] };
            assert!(found == expected, "{name} {set:?}: tensor {i}");
            let apart = worst(&all[i..=i], &widen(&none[i..=i]));
            assert!(apart > 1.0, "{name} {set:?}: with and without decay tensor {i} is {apart:.2} of the bound apart");
        }
    }
}
