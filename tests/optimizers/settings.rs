//! The registry: which settings a rule has, which of them are compared with f64, and what is refused.

use velograd::{
    check::selftest::OPTIMIZER_CASES,
    optim::{self, Kind, Lookahead},
};

use super::{
    has, pairs,
    properties::{Set, build},
};

#[test]
fn every_entry_has_a_case() {
    for entry in optim::ALL {
        let mut cases = OPTIMIZER_CASES.iter().filter(|(name, _)| *name == entry.name).map(|(_, set)| set).peekable();
        assert!(cases.peek().is_some(), "{} has no case", entry.name);
        let decays = |set: &&&[(&str, &str)]| ["weight_decay", "no_decay"].iter().all(|key| has(set, key));
        assert!(cases.any(|set| decays(&set)), "{} has no case with a decay that leaves something out", entry.name);
    }
}

/// Every flag and every word of a choice is compared with f64 in some case, not by default alone.
#[test]
fn every_variant_has_a_case() {
    for entry in optim::ALL {
        for setting in entry.settings {
            let words = match setting.kind {
                Kind::Flag { default } => vec![if default { "false" } else { "true" }],
                Kind::Choice { words } => words[1..].to_vec(),
                _ => continue,
            };
            for word in words {
                let there = |(name, set): &&(&str, Set)| *name == entry.name && set.contains(&(setting.key, word));
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

/// What the papers' and codes' variants need, by the names that they have there.
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
            "lr momentum nesterov ns_steps weight_decay variant=keller|airbench scale=keller|flat|none|match_rms_adamw \
             aux=adamw|sgd aux_lr aux_beta1 aux_beta2 aux_eps aux_momentum aux_weight_decay head_lr head_weight_decay \
             first_bias_updates",
        ),
    ];
    for (name, expected) in table {
        let text = |s: &optim::Setting| match s.kind {
            Kind::Choice { words } => format!("{}={}", s.key, words.join("|")),
            _ => s.key.to_owned(),
        };
        let mut found: Vec<_> = optim::find(name).unwrap().settings.iter().map(text).collect();
        let mut expected: Vec<_> = expected.split_whitespace().map(str::to_owned).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{name}");
    }
}

/// Every setting of every rule refuses what is out of its range, names itself and the range, and takes its ends.
#[test]
fn values_out_of_range_are_refused() {
    for entry in optim::ALL {
        for setting in entry.settings {
            let (inside, mut outside): (Vec<String>, Vec<String>) = match setting.kind {
                Kind::Number { low, high, .. } => {
                    let ends = [Some(low), (high < f64::INFINITY).then_some(high - 1e-9)];
                    let beyond = [low - 1e-40, low - 1.0, high, f64::NAN, f64::INFINITY];
                    (ends.into_iter().flatten().map(text).collect(), beyond.into_iter().map(text).collect())
                }
                Kind::Closed { low, high, .. } => {
                    ([low, high].map(text).into(), [low - 0.1, high + 0.1, f64::NAN].map(text).into())
                }
                Kind::Count { .. } => (vec!["1".into()], ["0", "-1", "1.5", "5000000000"].map(str::to_owned).into()),
                Kind::Flag { .. } => (vec!["true".into(), "false".into()], vec!["maybe".into()]),
                Kind::Choice { words } => (words.iter().map(|w| (*w).to_owned()).collect(), vec!["word".into()]),
            };
            outside.extend(["".to_owned(), "fast".to_owned()]);
            outside.retain(|value| !inside.contains(value)); // where low - 1e-40 is low itself
            for value in outside {
                let fault = optim::build(entry.name, &pairs(&[(setting.key, &value)])).err();
                let fault = fault.unwrap_or_else(|| panic!("{} {}={value} is taken", entry.name, setting.key));
                assert_eq!(fault.exit_code(), 2);
                let said = fault.to_string();
                for part in [format!("{}: {}={value}", entry.name, setting.key), setting.range()] {
                    assert!(said.contains(&part), "`{said}` does not say `{part}`");
                }
            }
            for value in inside {
                let alone = [(setting.key, &value[..])];
                // Nesterov's needs momentum, and Schedule-Free's beta1 is above 0.
                let with = [alone[0], ("momentum", "0.9")];
                let nesterov = entry.name == "sgd" && setting.key == "nesterov";
                let open = entry.name == "schedulefree" && alone[0] == ("beta1", "0");
                if !open {
                    build(entry.name, if nesterov { &with } else { &alone });
                }
            }
        }
    }
}

fn text(value: f64) -> String {
    value.to_string()
}

/// A setting that does not exist or fit is an error that names it, its range, and the nearest name.
#[test]
fn settings_are_checked() {
    let refused = |name: &str, key: &str, value: &str| {
        let error = optim::build(name, &pairs(&[(key, value)])).err().expect("refused");
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    let unknown = refused("velogrd", "lr", "1");
    assert!(unknown.contains("`velogrd`") && unknown.contains("did you mean `velograd`"), "{unknown}");
    let names: Vec<_> = optim::ALL.iter().map(|entry| entry.name).collect();
    assert!(unknown.contains(&names.join(", ")), "{unknown}");
    let unknown = refused("velograd", "beta_1", "0.9");
    assert!(unknown.contains("did you mean `beta1`"), "{unknown}");
    let keys: Vec<_> = optim::find("velograd").unwrap().settings.iter().map(|s| s.key).collect();
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
    assert!(refused("muon", "ns_steps", "0").contains("at least 1"));
    assert!(refused("sgd", "weight_decay", "-1").contains("at least 0"));
    assert!(refused("adam", "eps", "0").contains("at least 1e-30"));
    assert!(refused("adabelief", "wd_mode", "L2").contains("decoupled, fixed, l2"));
    assert!(refused("adamw", "momentum", "0.9").contains("`adamw` has no setting `momentum`"));
    for text in ["5", "0,0.5", "5,1.5", "5,nan", "-1,0.5", "2.5,0.5", "5,0.5,1", ""] {
        let error = text.parse::<Lookahead>().expect_err(text);
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("K,ALPHA"), "{error}");
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
        ("muon", &[], 1),
        ("schedulefree", &[], 2),
    ];
    for (name, set, words) in table {
        let optimizer = build(name, set);
        assert_eq!(optimizer.words(), *words, "{name} {set:?}");
        assert_eq!(Lookahead { k: 5, alpha: 0.5 }.around(optimizer).words(), words + 1, "{name} {set:?}");
    }
}
