//! The registry: which settings a rule has, which of them are compared with the f64 reference, and what is refused.

use pollster::block_on;
use velograd::{
    check::selftest::{OPTIMIZER_CASES, OptimizerInputs, narrow},
    optim::{self, Bound, Kind, Lookahead, Range, Rule, Stepper},
};

use super::{
    has, pairs,
    properties::{Set, build},
};
use crate::support::gpu;

#[test]
fn every_entry_has_a_case() {
    for entry in optim::ALL.iter() {
        let mut cases = OPTIMIZER_CASES.iter().filter(|(name, _)| *name == entry.name).map(|(_, set)| set).peekable();
        assert!(cases.peek().is_some(), "{} has no case", entry.name);
        let decays = |set: &&&[(&str, &str)]| ["weight_decay", "no_decay"].iter().all(|key| has(set, key));
        assert!(cases.any(|set| decays(&set)), "{} has no case with a decay that leaves something out", entry.name);
    }
}

/// Every flag and every word of a choice is compared with f64 in some case, not only the defaults.
#[test]
fn every_variant_has_a_case() {
    for entry in optim::ALL.iter() {
        for setting in &entry.settings {
            let words: Vec<&str> = match &setting.kind {
                Kind::Flag { default } => vec![if *default { "false" } else { "true" }],
                Kind::Choice { words } => words[1..].iter().map(String::as_str).collect(),
                _ => continue,
            };
            for word in words {
                let there =
                    |(name, set): &&(&str, Set)| *name == entry.name && set.contains(&(setting.key.as_str(), word));
                assert!(
                    OPTIMIZER_CASES.iter().any(|case| there(&case)),
                    "{} {}={word} has no case",
                    entry.name,
                    setting.key
                );
            }
        }
    }
}

/// The rules have what the variants in papers and published code need, under the names used there.
#[test]
fn rules_have_the_settings_of_their_papers() {
    let table = [
        (
            "amvt",
            "lr beta1 beta2 beta3 eps weight_decay wd_mode=literal|decoupled eps_mode=inside|outside bias_corrected clip",
        ),
        ("vradam", "lr beta1 beta2 beta3 alpha1 eps weight_decay norm_of=velocity|grad"),
        ("mvngrad", "lr beta1 beta2 eps eps_s weight_decay wd_mode=decoupled|l2"),
        ("adabelief", "lr beta1 beta2 eps weight_decay wd_mode=decoupled|fixed|l2 rectify amsgrad"),
        ("laprop", "lr beta1 beta2 eps weight_decay official"),
        ("adabound", "lr beta1 beta2 final_lr gamma eps weight_decay amsbound"),
        (
            "muon",
            "lr momentum nesterov ns_steps weight_decay variant=keller|airbench scale=flat|keller|none|match_rms_adamw \
             aux=adamw|sgd aux_lr aux_beta1 aux_beta2 aux_eps aux_momentum aux_weight_decay head_lr head_weight_decay \
             first_bias_updates",
        ),
    ];
    for (name, expected) in table {
        let text = |s: &optim::Setting| match &s.kind {
            Kind::Choice { words } => format!("{}={}", s.key, words.join("|")),
            _ => s.key.clone(),
        };
        let mut found: Vec<_> = optim::find(name).unwrap().settings.iter().map(text).collect();
        let mut expected: Vec<_> = expected.split_whitespace().map(str::to_owned).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{name}");
    }
}

/// Numbers that a range allows, at its ends or as close to them as text can express, and numbers that it does not
/// allow.
fn ends(range: Range) -> (Vec<f64>, Vec<f64>) {
    let (mut inside, mut outside) = (vec![], vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e39, -1e39, 1e-40]);
    let just = |value: f64, by: f64| if value == 0.0 { by * 1.2e-38 } else { value * (1.0 + by * 1e-9) };
    for (end, inwards) in [(range.low, 1.0), (range.high, -1.0)] {
        match end {
            Some(Bound::Included(value)) => {
                inside.push(value);
                outside.extend([just(value, -inwards), value - inwards]);
            }
            Some(Bound::Excluded(value)) => {
                inside.push(just(value, inwards));
                outside.extend([value, value - inwards]);
            }
            None => {}
        }
    }
    (inside, outside)
}

/// Texts that a setting accepts, and texts that it refuses.
fn texts(kind: &Kind) -> (Vec<String>, Vec<String>) {
    let text = |values: Vec<f64>| values.iter().map(f64::to_string).collect::<Vec<_>>();
    let (inside, mut outside) = match kind {
        Kind::Number { range, .. } => {
            let (inside, outside) = ends(*range);
            (text(inside), text(outside))
        }
        Kind::Whole { range, .. } => {
            let (inside, mut outside) = ends(*range);
            outside.retain(|v| v.fract() != 0.0 || !range.contains(*v));
            (text(inside), [text(outside), ["1.5", "5000000000", "1e3"].map(str::to_owned).into()].concat())
        }
        Kind::Flag { .. } => (vec!["true".into(), "false".into()], vec!["maybe".into()]),
        Kind::Choice { words } => (words.clone(), vec!["word".into()]),
    };
    outside.extend(["".to_owned(), "fast".to_owned()]);
    (inside, outside)
}

/// One setting, together with what the rule needs for it: Nesterov's variant needs momentum.
fn alone<'a>(rule: &Rule, key: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let momentum = ["sgd", "lars"].contains(&rule.name.as_str()) && key == "nesterov";
    std::iter::once((key, value)).chain(momentum.then_some(("momentum", "0.9"))).collect()
}

/// Every setting of every rule refuses values out of its range with an error that names both, and accepts the ends.
#[test]
fn values_out_of_range_are_refused() {
    for rule in optim::ALL.iter() {
        for setting in &rule.settings {
            let (inside, outside) = texts(&setting.kind);
            for value in outside {
                let fault = rule.build(&pairs(&[(&setting.key, &value)])).err();
                let fault = fault.unwrap_or_else(|| panic!("{} {}={value} is taken", rule.name, setting.key));
                assert_eq!(fault.exit_code(), 2);
                let said = fault.to_string();
                for part in [format!("{}: {}={value}", rule.name, setting.key), setting.range()] {
                    assert!(said.contains(&part), "`{said}` does not say `{part}`");
                }
            }
            for value in inside {
                build(&rule.name, &alone(rule, &setting.key, &value));
            }
        }
    }
}

/// At the ends of every setting's range every number stays finite, and parameters without a gradient stay where they
/// are: no denominator may become zero.
#[test]
fn the_ends_of_ranges_divide_by_nothing() {
    let Some(gpu) = gpu() else { return };
    let mut inputs = OptimizerInputs::new(&[12, 6], 4);
    let start = narrow(&inputs.params);
    let dead = |tensor: usize, i: usize| tensor == 1 || i.is_multiple_of(3);
    for grads in &mut inputs.grads {
        for (tensor, values) in grads.iter_mut().enumerate() {
            values.iter_mut().enumerate().filter(|(i, _)| dead(tensor, *i)).for_each(|(_, g)| *g = 0.0);
        }
    }
    for rule in optim::ALL.iter() {
        let decays = |key: &str| key.ends_with("weight_decay") && key != "decoupled_weight_decay";
        for setting in &rule.settings {
            for value in texts(&setting.kind).0 {
                let mut set = alone(rule, &setting.key, &value);
                let others = rule.settings.iter().filter(|s| decays(&s.key) && s.key != setting.key);
                set.extend(others.map(|s| (s.key.as_str(), "0")));
                if set.contains(&("variant", "airbench")) || (decays(&setting.key) && value != "0") {
                    continue; // they move parameters without a gradient
                }
                // As a matrix, so that Muon's matrix part is tested too.
                let dims = [vec![3, 4], vec![6]];
                let mut stepper =
                    block_on(Stepper::shaped(gpu, &gpu.target, build(&rule.name, &set), &dims, &start)).unwrap();
                for (grads, &loss) in inputs.grads.iter().zip(&inputs.losses) {
                    block_on(stepper.step(&narrow(grads), loss as f32)).unwrap();
                }
                for (tensor, values) in block_on(stepper.params()).unwrap().iter().enumerate() {
                    for (i, found) in values.iter().enumerate() {
                        assert!(found.is_finite(), "{} {set:?}: [{tensor}][{i}] is {found}", rule.name);
                        // Newton-Schulz moves a whole matrix.
                        let stays = dead(tensor, i) && (rule.name != "muon" || tensor == 1);
                        assert!(!stays || *found == start[tensor][i], "{} {set:?}: [{tensor}][{i}] moved", rule.name);
                    }
                }
            }
        }
    }
}

/// A rule is found in any case of letters, and a run has the rule's own spelling.
#[test]
fn names_are_known_in_any_case() {
    for rule in optim::ALL.iter() {
        assert_eq!(optim::find(&rule.name.to_uppercase()).unwrap().name, rule.name);
    }
    assert_eq!(optim::find("AdamW").unwrap().name, "adamw");
}

/// A setting that does not exist, or is invalid, is an error that names it, its range, and the nearest name.
#[test]
fn settings_are_checked() {
    let refused = |name: &str, key: &str, value: &str| {
        let error = optim::build(name, &pairs(&[(key, value)])).err().expect("refused");
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let unknown = refused("velogrd", "lr", "1");
    assert!(unknown.contains("`velogrd`") && unknown.contains("did you mean `velograd`"), "{unknown}");
    let names: Vec<_> = optim::ALL.iter().map(|rule| rule.name.as_str()).collect();
    assert!(unknown.contains(&names.join(", ")), "{unknown}");
    let unknown = refused("velograd", "beta_1", "0.9");
    assert!(unknown.contains("did you mean `beta1`"), "{unknown}");
    let keys: Vec<_> = optim::find("velograd").unwrap().settings.iter().map(|s| s.key.clone()).collect();
    assert!(unknown.contains(&keys.join(", ")), "{unknown}");
    assert!(refused("velograd", "beta1", "1").contains("below 1"));
    assert!(refused("velograd", "lookahead_k", "0").contains("at least 1"));
    assert!(refused("velograd", "lr", "fast").contains("a number"));
    assert!(refused("velograd", "lr", "nan").contains("a number"));
    assert!(refused("velograd", "lr", "1e300").contains("a number"));
    assert!(refused("velograd", "scope", "layer").contains("tensor, global"));
    assert!(refused("velograd", "alpha_slow", "1.5").contains("from 0 to 1"));
    assert!(refused("sgd", "nesterov", "true").contains("momentum"));
    assert!(refused("schedulefree", "beta1", "0").contains("above 0"));
    assert!(refused("muon", "variant", "jordan").contains("keller, airbench"));
    assert!(refused("muon", "ns_steps", "0").contains("from 1 to 100"));
    assert!(refused("sgd", "weight_decay", "-1").contains("at least 0"));
    for (name, key) in [("adam", "eps"), ("schedulefree", "eps"), ("muon", "aux_eps"), ("velograd", "eps")] {
        for value in ["0", "1e-40", "-1e-8"] {
            assert!(refused(name, key, value).contains("above 0"), "{name} {key}={value}");
        }
    }
    assert!(refused("muon", "ns_steps", "4000000000").contains("from 1 to 100"));
    assert!(refused("adabelief", "wd_mode", "L2").contains("decoupled, fixed, l2"));
    assert!(refused("adamw", "momentum", "0.9").contains("`adamw` has no setting `momentum`"));
    for text in ["5", "0,0.5", "5,1.5", "5,nan", "-1,0.5", "2.5,0.5", "5,0.5,1", ""] {
        let error = text.parse::<Lookahead>().expect_err(text);
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("K,ALPHA"), "{error}");
    }
}

/// Words of state per parameter: no more than the rule needs with its settings.
#[test]
fn words_of_state() {
    let table: &[(&str, Set, usize)] = &[
        ("sgd", &[], 0),
        ("sgd", &[("momentum", "0.9")], 1),
        ("adam", &[], 2),
        ("adam", &[("amsgrad", "true")], 3),
        ("adamw", &[], 2),
        ("nadamw", &[], 2),
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
        ("signum", &[], 1),
        ("adan", &[], 4),
        ("ademamix", &[], 3),
        ("lars", &[], 0),
        ("lars", &[("momentum", "0.9")], 1),
        ("lamb", &[], 2),
        ("velograd", &[], 4),
        ("muon", &[], 1),
        ("schedulefree", &[], 2),
    ];
    for (name, set, words) in table {
        let optimizer = build(name, set);
        assert_eq!(optimizer.words(), *words, "{name} {set:?}");
        assert_eq!(Lookahead { k: 5, alpha: 0.5 }.around(optimizer).words(), words + 1, "{name} {set:?}");
    }
}
