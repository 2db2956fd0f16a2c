//! NAdamW, Signum, AdEMAMix, LARS and LAMB against timm, pytorch_optimizer and AdEMAMix's authors, whose values
//! `tests/data/rules.py` computed.

use serde_json::Value;
use velograd::check::reference::optim;

/// The elements of each tensor.
type Tensors = Vec<Vec<f64>>;

/// Rule, settings, and the parameters after the updates that the file keeps.
type Case = (String, Vec<(String, String)>, Vec<Tensors>);

/// The values that `tests/data/rules.py` has computed.
pub struct Values {
    /// The initial parameters.
    pub params: Tensors,
    /// Gradients of each update.
    pub grads: Vec<Tensors>,
    /// The updates after which the cases' parameters are kept.
    pub updates: Vec<usize>,
    /// Rule, settings, and the parameters after those updates.
    pub cases: Vec<Case>,
}

impl Values {
    /// Reads the file of values.
    pub fn read() -> Self {
        let file: Value = serde_json::from_str(include_str!("../data/rules.json")).unwrap();
        let case = |case: &Value| {
            let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            let set = case["set"].as_object().unwrap().iter().map(|(key, value)| (key.clone(), text(value)));
            let params = serde_json::from_value(case["params"].clone()).unwrap();
            (case["rule"].as_str().unwrap().to_owned(), set.collect(), params)
        };
        Self {
            params: serde_json::from_value(file["params"].clone()).unwrap(),
            grads: serde_json::from_value(file["grads"].clone()).unwrap(),
            updates: serde_json::from_value(file["kept_updates"].clone()).unwrap(),
            cases: file["cases"].as_array().unwrap().iter().map(case).collect(),
        }
    }
}

/// The values agree to the digits of f64; what the two compute in another order is rounded differently.
#[test]
fn references_have_the_values_of_others() {
    let values = Values::read();
    assert_eq!(values.cases.len(), 14);
    for (rule, set, expected) in &values.cases {
        let mut optimizer = optim::build(rule, set).unwrap_or_else(|| panic!("{rule} {set:?}"));
        let mut params = values.params.clone();
        for (t, grads) in (1..).zip(&values.grads) {
            optimizer.step(&mut params, grads, 1.0);
            let Some(at) = values.updates.iter().position(|update| *update == t) else { continue };
            for (found, expected) in params.iter().flatten().zip(expected[at].iter().flatten()) {
                let off = (found - expected).abs();
                assert!(off <= 1e-12 * expected.abs() + 1e-15, "{rule} {set:?}, update {t}: {found} is not {expected}");
            }
        }
    }
}
