//! Optimizers against golden traces, and their properties; `ops` compares each with its f64 reference.

use pollster::block_on;
use velograd::{
    check::selftest::{OPTIMIZER_CASES, OptimizerCase, OptimizerInputs, narrow, optimizer_bound, optimizer_case},
    device::Gpu,
    optim::{self, Lookahead, Stepper},
};

use crate::{golden_files, no_gpu::rule_values::Values, support::gpu};

/// VeloGrad's mechanisms.
mod mechanisms;

/// Identities, zero gradients, learning rates of zero, decay.
mod properties;

/// The registry: what can be set, and what is refused.
mod settings;

/// The behaviour of single rules, step by step.
mod steps;

fn pairs(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn has(set: &[(&str, &str)], key: &str) -> bool {
    set.iter().any(|(k, _)| *k == key)
}

/// The largest ratio of an error to its bound.
fn worst(found: &[Vec<f32>], expected: &[Vec<f64>]) -> f64 {
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    pairs.map(|(f, e)| (f64::from(*f) - *e).abs() / optimizer_bound(*e)).fold(0.0, f64::max)
}

/// The logged norm is right, whichever reduction an optimizer uses for it.
#[test]
fn the_norm_is_that_of_all_gradients() {
    let Some(gpu) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[1, 13, 1030, 40_000], 1);
    let expected: f64 = inputs.grads[0].iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
    for name in optim::ALL.iter().map(|rule| rule.name.as_str()) {
        let (optimizer, _) = optim::build(name, &[]).unwrap();
        let mut stepper = block_on(Stepper::new(gpu, optimizer, &narrow(&inputs.params))).unwrap();
        let found = f64::from(block_on(stepper.step(&narrow(&inputs.grads[0]), 1.0)).unwrap().grad_norm);
        assert!((found - expected).abs() <= 1e-5 * expected, "{name}: {found} for {expected}");
    }
}

/// A gradient or loss that is not finite changes nothing but a count: the updates after it are as if it had not
/// occurred.
#[test]
fn what_is_not_finite_is_skipped() {
    let Some(gpu) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[5, 1030], 9);
    let defaults = optim::ALL.iter().map(|rule| (rule.name.as_str(), &[][..]));
    let others = [("adam", &[("lookahead", "2,0.5")][..]), ("laprop", &[("official", "true")])];
    for (name, set) in defaults.chain(others) {
        let run = |poison: bool| {
            let OptimizerCase { optimizer, .. } = optimizer_case(name, set).unwrap();
            let mut stepper = block_on(Stepper::new(gpu, optimizer, &narrow(&inputs.params))).unwrap();
            let mut skipped = 0;
            for (update, (grads, &loss)) in inputs.grads.iter().zip(&inputs.losses).enumerate() {
                if poison && update == 2 {
                    stepper.drop_reports(5); // these three, and two more
                    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                        let mut bad = narrow(grads);
                        bad[1][1029] = value;
                        assert_eq!(
                            block_on(stepper.step(&bad, loss as f32)).unwrap().skip,
                            1,
                            "{name}: a gradient of {value}"
                        );
                    }
                }
                if poison && update == 5 {
                    assert_eq!(
                        block_on(stepper.step(&narrow(grads), f32::NAN)).unwrap().skip,
                        1,
                        "{name}: a loss of NaN"
                    );
                }
                let report = block_on(stepper.step(&narrow(grads), loss as f32)).unwrap();
                assert_eq!(report.skip, 0, "{name}");
                skipped = report.skipped;
            }
            (block_on(stepper.params()).unwrap(), skipped)
        };
        let ((plain, none), (poisoned, four)) = (run(false), run(true));
        assert_eq!((none, four), (0, 4), "{name}: updates counted as skipped");
        assert!(plain == poisoned, "{name}: a skipped update left a trace");
    }
}

/// With every mechanism off and no decay, VeloGrad is Adam, which is written out here independently of the reference.
#[test]
fn velograd_without_its_mechanisms_is_adam() {
    let Some(gpu) = gpu() else { return };
    let off = ["use_select", "use_loss", "use_norm", "use_sim", "use_adaptive_decay", "use_lookahead"];
    let mut given: Vec<_> = off.iter().map(|key| ((*key).to_owned(), "false".to_owned())).collect();
    given.extend(pairs(&[("weight_decay", "0"), ("lr", "0.001"), ("beta2", "0.999")]));
    let inputs = OptimizerInputs::new(&[40], 14);
    let (optimizer, _) = optim::build("velograd", &given).unwrap();
    let mut stepper = block_on(Stepper::new(gpu, optimizer, &narrow(&inputs.params))).unwrap();
    let (mut p, mut m, mut v) = (inputs.params[0].clone(), vec![0.0; 40], vec![0.0; 40]);
    for (t, grads) in (1..).zip(&inputs.grads) {
        block_on(stepper.step(&narrow(grads), 1.0)).unwrap();
        for i in 0..40 {
            let g = grads[0][i];
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            let (mh, vh): (f64, f64) = (m[i] / (1.0 - 0.9_f64.powi(t)), v[i] / (1.0 - 0.999_f64.powi(t)));
            p[i] -= 0.001 * mh / (vh.sqrt() + 1e-8);
        }
    }
    assert!(worst(&block_on(stepper.params()).unwrap(), &[p]) <= 1.0);
}

#[test]
fn golden_traces() {
    let Some(gpu) = gpu() else { return };
    for file in ["optimizer_traces.safetensors", "optimizer_traces_large.safetensors"] {
        let Some(golden) = golden_files::open(file) else { return };
        let traces: serde_json::Value = serde_json::from_str(&golden.metadata["traces"]).unwrap();
        let mut replayed = 0;
        for (name, recipe) in traces.as_object().unwrap() {
            let optimizer = recipe["optimizer"].as_str().unwrap();
            if optim::ALL.iter().any(|e| e.name == optimizer) {
                trace(gpu, &golden, name, recipe);
                replayed += 1;
            }
        }
        assert!(replayed >= 43, "{file}: {replayed} traces were replayed");
    }
}

fn trace(gpu: &Gpu, golden: &golden_files::Golden, name: &str, recipe: &serde_json::Value) {
    let text = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let mut given: Vec<_> = recipe["set"].as_object().unwrap().iter().map(|(k, v)| (k.clone(), text(v))).collect();
    let rule = recipe["optimizer"].as_str().unwrap();
    given.extend(golden_files::defaults(rule));
    let (mut optimizer, _) = optim::build(rule, &given).unwrap();
    if let (Some(k), Some(alpha)) = (recipe["lookahead"][0].as_u64(), recipe["lookahead"][1].as_f64()) {
        optimizer = Lookahead { k: k as u32, alpha }.around(optimizer);
    }
    let count = golden.names().filter(|n| n.starts_with("inputs/param/")).count();
    let params: Vec<_> = (0..count).map(|i| golden.values(&format!("inputs/param/{i}")).to_vec()).collect();
    let dims: Vec<_> = (0..count).map(|i| golden.shape(&format!("inputs/param/{i}")).to_vec()).collect();
    let losses = golden.values("inputs/loss");
    let mut stepper = block_on(Stepper::shaped(gpu, &gpu.target, optimizer, &dims, &narrow(&params))).unwrap();
    for (update, &loss) in losses.iter().enumerate() {
        let slice = |i: usize| {
            let len = params[i].len();
            golden.values(&format!("inputs/grad/{i}"))[update * len..][..len].to_vec()
        };
        let grads: Vec<_> = (0..count).map(slice).collect();
        block_on(stepper.step(&narrow(&grads), loss as f32)).unwrap();
        // The small file holds every update, the large one only the last.
        let every = golden.values(&format!("{name}/param/0")).len() > params[0].len();
        if every || update + 1 == losses.len() {
            let row = if every { update } else { 0 };
            let expected: Vec<_> = (0..count)
                .map(|i| {
                    golden.values(&format!("{name}/param/{i}"))[row * params[i].len()..][..params[i].len()].to_vec()
                })
                .collect();
            let worst = worst(&block_on(stepper.params()).unwrap(), &expected);
            println!("{name}, update {}: {worst:.3} of the bound", update + 1);
            assert!(worst <= 1.0, "{name}, update {}: {worst:.2} times the bound", update + 1);
        }
    }
    if golden.names().any(|n| n == format!("{name}/eval_param/0")) {
        let expected: Vec<_> = (0..count).map(|i| golden.values(&format!("{name}/eval_param/{i}")).to_vec()).collect();
        let before = block_on(stepper.params()).unwrap();
        let worst = worst(&block_on(stepper.evaluation_params()).unwrap(), &expected);
        assert!(worst <= 1.0, "{name}, where it is evaluated: {worst:.2} times the bound");
        assert_eq!(block_on(stepper.params()).unwrap(), before, "{name}: evaluation left a trace");
    }
}

/// The rules that the golden files lack, against other implementations.
#[test]
fn values_of_others() {
    let Some(gpu) = gpu() else { return };
    let values = Values::read();
    for (rule, set, expected) in &values.cases {
        let (optimizer, _) = optim::build(rule, set).unwrap();
        let mut stepper = block_on(Stepper::new(gpu, optimizer, &narrow(&values.params))).unwrap();
        for (t, grads) in (1..).zip(&values.grads) {
            block_on(stepper.step(&narrow(grads), 1.0)).unwrap();
            let Some(at) = values.updates.iter().position(|update| *update == t) else { continue };
            let off = worst(&block_on(stepper.params()).unwrap(), &expected[at]);
            assert!(off <= 1.0, "{rule} {set:?}, update {t}: {off:.2} times the bound");
        }
    }
}

/// Every rule uses the learning rate of each update, not that of the settings, as the reference does, also where it is 0.
#[test]
fn a_scheduled_rate_reaches_every_rule() {
    let Some(gpu) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[3, 1030], 14);
    for (name, set) in OPTIMIZER_CASES {
        let OptimizerCase { optimizer, mut reference, left_out } = optimizer_case(name, set).unwrap();
        let first = optimizer.lr();
        let (dims, start) = ([vec![3], vec![1030]], narrow(&inputs.params));
        let mut stepper = block_on(Stepper::excluding(gpu, &gpu.target, optimizer, &dims, &start, &left_out)).unwrap();
        let mut expected = inputs.params.clone();
        for (t, (grads, &loss)) in inputs.grads.iter().zip(&inputs.losses).enumerate() {
            let lr = first * [1.0, 0.7, 0.0, 1.3, 0.1][t % 5];
            stepper.set_lr(lr);
            reference.set("lr", &lr.to_string()).unwrap();
            block_on(stepper.step(&narrow(grads), loss as f32)).unwrap();
            reference.step(&mut expected, grads, loss);
        }
        for (i, (found, expected)) in block_on(stepper.params()).unwrap().iter().zip(&mut expected).enumerate() {
            for j in (0..found.len()).filter(|&j| reference.undecided(i, j)) {
                expected[j] = f64::from(found[j]);
            }
        }
        let off = worst(&block_on(stepper.params()).unwrap(), &expected);
        assert!(off <= 1.0, "{name} {set:?}: {off:.2} times the bound");
        if let Some(expected) = reference.evaluation() {
            let off = worst(&block_on(stepper.evaluation_params()).unwrap(), expected);
            assert!(off <= 1.0, "{name} {set:?}, where it is evaluated: {off:.2} times the bound");
        }
    }
}
