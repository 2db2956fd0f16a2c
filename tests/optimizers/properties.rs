//! What holds for the rules whatever the numbers: identities between them, zero gradients, learning rates of zero,
//! decay.

use pollster::block_on;
use velograd::{
    check::selftest::{OPTIMIZER_CASES, OptimizerInputs, narrow, optimizer_bound},
    optim::{self, Kind, Lookahead, Optimizer, Rule, Stepper},
};

use super::{has, pairs, worst};
use crate::support::gpu;

pub(super) type Set<'a> = &'a [(&'a str, &'a str)];

pub(super) fn build(name: &str, set: Set) -> Box<dyn Optimizer> {
    optim::build(name, &pairs(set)).unwrap_or_else(|fault| panic!("{name}: {fault}")).0
}

/// The parameters after all updates of the inputs.
pub(super) fn after(optimizer: Box<dyn Optimizer>, inputs: &OptimizerInputs) -> Vec<Vec<f32>> {
    let mut stepper = block_on(Stepper::new(gpu().unwrap(), optimizer, &narrow(&inputs.params))).unwrap();
    for (grads, &loss) in inputs.grads.iter().zip(&inputs.losses) {
        block_on(stepper.step(&narrow(grads), loss as f32)).unwrap();
    }
    block_on(stepper.params()).unwrap()
}

pub(super) fn widen(tensors: &[Vec<f32>]) -> Vec<Vec<f64>> {
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
        // With gamma = 0 the bounds are 0 and infinity; a tiny eps may be before or after the correction.
        ("adabound", &[("gamma", "0"), ("eps", "1e-20")], "adam", &[("eps", "1e-20")]),
        (
            "adabound",
            &[("gamma", "0"), ("eps", "1e-20"), ("amsbound", "true")],
            "adam",
            &[("eps", "1e-20"), ("amsgrad", "true")],
        ),
        // The mean is the gradient, so there is no variance around it.
        ("amvt", &[("beta1", "0"), ("eps", "1e-24")], "adam", &[("beta1", "0"), ("eps", "1e-12")]),
        // (1 + s/(v+eps))^(-1/2) / sqrt(v+eps) is 1 / sqrt(v + s + eps), which is what the kernel has for `inside`.
        ("amvt", &[("eps", "1e-20")], "amvt", &[("eps", "1e-20"), ("eps_mode", "outside")]),
        ("radam", &[("beta2", "0.5")], "adabelief", &[("beta2", "0.5"), ("rectify", "true")]),
        ("adan", &[("beta2", "0"), ("beta3", "0.999"), ("beta1", "0.9")], "adam", &[]),
        // AdamW updates what is not a matrix.
        (
            "muon",
            &[("aux_lr", "0.001"), ("aux_eps", "1e-8"), ("aux_weight_decay", "0.1")],
            "adamw",
            &[("beta2", "0.95"), ("weight_decay", "0.1")],
        ),
        ("rmsprop", &[("alpha", "0"), ("lr", "0.001")], "adam", &[("beta1", "0"), ("beta2", "0")]),
        ("nadamw", &[("beta1", "0")], "adamw", &[("beta1", "0")]),
        ("ademamix", &[("alpha", "0")], "adam", &[]),
        ("signum", &[("momentum", "0"), ("lr", "0.001")], "lion", &[("beta1", "0"), ("lr", "0.001")]),
        ("lars", &[("lr", "0.01"), ("momentum", "0.9")], "sgd", &[("lr", "0.01"), ("momentum", "0.9")]),
        ("lamb", &[("weight_decay", "0"), ("eps", "1e-8")], "adam", &[]),
    ];
    for (a, set_a, b, set_b) in same {
        let (one, other) = (after(build(a, set_a), &inputs), after(build(b, set_b), &inputs));
        let worst = worst(&one, &widen(&other));
        assert!(worst <= 1.0, "{a} {set_a:?} is not {b} {set_b:?}: {worst:.2} times the bound");
    }
}

/// With alpha = 1 the slow weights are the fast ones: not one bit differs.
#[test]
fn a_whole_lookahead_is_none() {
    let Some(_) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[3, 1030], 7);
    for entry in optim::ALL.iter() {
        let wrapped = Lookahead { k: 2, alpha: 1.0 }.around(build(&entry.name, &[]));
        assert!(after(wrapped, &inputs) == after(build(&entry.name, &[]), &inputs), "{}", entry.name);
    }
}

/// With alpha = 0 the slow weights stay where they began, and every k-th update returns to them.
#[test]
fn a_lookahead_of_zero_returns() {
    let Some(_) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[3, 1030], 6);
    for entry in optim::ALL.iter() {
        let wrapped = Lookahead { k: 3, alpha: 0.0 }.around(build(&entry.name, &[]));
        assert!(after(wrapped, &inputs) == narrow(&inputs.params), "{}", entry.name);
    }
}

/// Rules that multiply both step and decay by the learning rate move nothing at a rate of 0, though the settings have
/// another. Three decays do not have that factor: AMVT's as printed, AdaBelief's fixed one, and that of LaProp's
/// authors.
#[test]
fn a_rate_of_zero_moves_nothing() {
    let Some(gpu) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[3, 1030], 6);
    let decay = ("weight_decay", "0.1");
    let without_rate =
        [("amvt", "wd_mode", "literal"), ("adabelief", "wd_mode", "fixed"), ("laprop", "official", "true")];
    for entry in optim::ALL.iter() {
        let sets = variants(entry).filter(|set| !set.contains(&("variant", "airbench")));
        for set in sets.map(|set| [&set[..], &[decay]].concat()) {
            let Ok((rule, settings)) = entry.build(&pairs(&set)) else { continue };
            let mut stepper = block_on(Stepper::new(gpu, rule, &narrow(&inputs.params))).unwrap();
            stepper.set_lr(0.0);
            for (grads, &loss) in inputs.grads.iter().zip(&inputs.losses) {
                block_on(stepper.step(&narrow(grads), loss as f32)).unwrap();
            }
            let is = |key: &str, value: &str| settings.to_json()[key].to_string().trim_matches('"') == value;
            let moves = without_rate.iter().any(|(name, key, value)| *name == entry.name && is(key, value));
            let factor = if moves { 0.9_f64.powi(6) } else { 1.0 };
            let found = block_on(stepper.params()).unwrap();
            for (found, start) in found.iter().flatten().zip(inputs.params.iter().flatten()) {
                let expected = start * factor;
                let bound = if moves { optimizer_bound(expected) } else { 0.0 };
                assert!((f64::from(*found) - expected).abs() <= bound, "{} {set:?}: {found} from {start}", entry.name);
            }
        }
    }
}

/// With alpha_interp = 1, VeloGrad's lookahead resets the weights to the slow ones.
#[test]
fn velograd_contains_lookahead() {
    let Some(_) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[3, 1030], 14);
    let mut set = vec![("weight_decay", "0"), ("lr", "0.001"), ("beta2", "0.999"), ("alpha_interp", "1")];
    set.extend(["use_select", "use_loss", "use_norm", "use_sim", "use_adaptive_decay"].map(|key| (key, "false")));
    let wrapped = "5,0.5".parse::<Lookahead>().unwrap().around(build("adam", &[]));
    assert!(worst(&after(build("velograd", &set), &inputs), &widen(&after(wrapped, &inputs))) <= 1.0);
}

/// The defaults, momentum, and each flag and choice at a value other than the default, alone and with momentum.
pub(super) fn variants(rule: &Rule) -> impl Iterator<Item = Vec<(&str, &str)>> {
    let momentum = rule.settings.iter().any(|s| s.key == "momentum").then_some(("momentum", "0.9"));
    let others = rule.settings.iter().flat_map(|setting| {
        let words: Vec<&str> = match &setting.kind {
            Kind::Flag { default } => vec![if *default { "false" } else { "true" }],
            Kind::Choice { words } => words[1..].iter().map(String::as_str).collect(),
            _ => vec![],
        };
        words.into_iter().map(|word| vec![(setting.key.as_str(), word)])
    });
    let all: Vec<_> = std::iter::once(vec![]).chain(others).collect();
    let with = all.clone().into_iter().filter_map(move |set| Some([&[momentum?], &set[..]].concat()));
    all.into_iter().chain(with)
}

/// A parameter that never gets a gradient stays where it is, to the bit, except for decay.
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
    for entry in optim::ALL.iter() {
        for set in variants(entry).filter(|set| !set.contains(&("variant", "airbench"))) {
            let decays =
                entry.settings.iter().filter(|s| s.key.ends_with("weight_decay") && s.key != "decoupled_weight_decay");
            let set: Vec<_> = set.into_iter().chain(decays.map(|s| (s.key.as_str(), "0"))).collect();
            let Ok((rule, _)) = entry.build(&pairs(&set)) else { continue }; // Nesterov's variant needs momentum
            for (tensor, values) in after(rule, &inputs).iter().enumerate() {
                for (i, value) in values.iter().enumerate().filter(|(i, _)| dead(tensor, *i)) {
                    assert!(*value == start[tensor][i], "{} {set:?}: [{tensor}][{i}]", entry.name);
                }
            }
        }
    }
    // With decay: the factor that one update applies.
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
        ("nadamw", &[], 1.0 - 0.01 * 0.1),
        ("signum", &[("wd_mode", "decoupled")], 1.0 - 0.01 * 0.1),
        ("ademamix", &[], 1.0 - 0.01 * 0.1),
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

/// A tensor that is excluded from weight decay moves as without decay, to the bit, and the others as with it. The test
/// would say nothing if decay changed less than the error bound, so it asserts that decay changes more in every case.
#[test]
fn decay_leaves_out_what_it_is_told_to() {
    let Some(gpu) = gpu() else { return };
    let dims = [vec![13], vec![1030], vec![70], vec![12, 5, 3, 3], vec![9, 20]];
    let inputs = OptimizerInputs::new(&dims.iter().map(|d| d.iter().product()).collect::<Vec<_>>(), 14);
    let end = |name: &str, set: Set, left_out: &[usize]| {
        let start = narrow(&inputs.params);
        let mut stepper =
            block_on(Stepper::excluding(gpu, &gpu.target, build(name, set), &dims, &start, left_out)).unwrap();
        for (grads, &loss) in inputs.grads.iter().zip(&inputs.losses) {
            block_on(stepper.step(&narrow(grads), loss as f32)).unwrap();
        }
        block_on(stepper.params()).unwrap()
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
