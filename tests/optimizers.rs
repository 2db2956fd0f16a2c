//! Optimizers against golden traces, and their properties; `ops` compares each with its f64 reference.

use velograd::{
    optim::{self, Stepper},
    params::{Init, Layout, Shape},
    selftest::{OPTIMIZER_CASES, OptimizerInputs, narrow, optimizer_bound},
    tape::Tape,
};

use crate::{golden_files, support::gpu};

fn pairs(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// Largest error over its bound.
fn worst(found: &[Vec<f32>], expected: &[Vec<f64>]) -> f64 {
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    pairs.map(|(f, e)| (f64::from(*f) - *e).abs() / optimizer_bound(*e)).fold(0.0, f64::max)
}

#[test]
fn every_entry_has_a_case() {
    for entry in optim::ALL {
        assert!(OPTIMIZER_CASES.iter().any(|(name, _)| *name == entry.name), "{} has no case", entry.name);
    }
}

/// The norm that goes into the log, of every optimizer's own reduction.
#[test]
fn the_norm_is_that_of_all_gradients() {
    let Some(gpu) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[1, 13, 1030, 40_000], 1);
    let expected: f64 = inputs.grads[0].iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
    for name in optim::ALL.iter().map(|e| e.name) {
        let (optimizer, _) = optim::build(name, &[]).unwrap();
        let mut stepper = Stepper::new(gpu, optimizer, &narrow(&inputs.params)).unwrap();
        let found = f64::from(stepper.step(&narrow(&inputs.grads[0]), 1.0).unwrap().grad_norm);
        assert!((found - expected).abs() <= 1e-5 * expected, "{name}: {found} for {expected}");
    }
}

/// A gradient or loss that is not finite leaves no trace but a count: what follows is as if it had not been.
#[test]
fn what_is_not_finite_is_skipped() {
    let Some(gpu) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[5, 1030], 9);
    for name in optim::ALL.iter().map(|e| e.name) {
        let run = |poison: bool| {
            let (optimizer, _) = optim::build(name, &[]).unwrap();
            let mut stepper = Stepper::new(gpu, optimizer, &narrow(&inputs.params)).unwrap();
            let mut skipped = 0;
            for (update, (grads, &loss)) in inputs.grads.iter().zip(&inputs.losses).enumerate() {
                if poison && update == 2 {
                    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                        let mut bad = narrow(grads);
                        bad[1][1029] = value;
                        assert_eq!(stepper.step(&bad, loss as f32).unwrap().skip, 1, "{name}: a gradient of {value}");
                    }
                }
                if poison && update == 5 {
                    assert_eq!(stepper.step(&narrow(grads), f32::NAN).unwrap().skip, 1, "{name}: a loss of NaN");
                }
                let report = stepper.step(&narrow(grads), loss as f32).unwrap();
                assert_eq!(report.skip, 0, "{name}");
                skipped = report.skipped;
            }
            (stepper.params().unwrap(), skipped)
        };
        let ((plain, none), (poisoned, four)) = (run(false), run(true));
        assert_eq!((none, four), (0, 4), "{name}: updates counted as skipped");
        assert!(plain == poisoned, "{name}: a skipped update left a trace");
    }
}

/// With every mechanism off and no decay, VeloGrad is Adam; written out here, independent of the reference.
#[test]
fn velograd_without_its_mechanisms_is_adam() {
    let Some(gpu) = gpu() else { return };
    let off = ["use_select", "use_loss", "use_norm", "use_sim", "use_adaptive_decay", "use_lookahead"];
    let mut given: Vec<_> = off.iter().map(|key| ((*key).to_owned(), "false".to_owned())).collect();
    given.extend(pairs(&[("weight_decay", "0"), ("lr", "0.001"), ("beta2", "0.999")]));
    let inputs = OptimizerInputs::new(&[40], 14);
    let (optimizer, _) = optim::build("velograd", &given).unwrap();
    let mut stepper = Stepper::new(gpu, optimizer, &narrow(&inputs.params)).unwrap();
    let (mut p, mut m, mut v) = (inputs.params[0].clone(), vec![0.0; 40], vec![0.0; 40]);
    for (t, grads) in (1..).zip(&inputs.grads) {
        stepper.step(&narrow(grads), 1.0).unwrap();
        for i in 0..40 {
            let g = grads[0][i];
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            let (mh, vh): (f64, f64) = (m[i] / (1.0 - 0.9_f64.powi(t)), v[i] / (1.0 - 0.999_f64.powi(t)));
            p[i] -= 0.001 * mh / (vh.sqrt() + 1e-8);
        }
    }
    assert!(worst(&stepper.params().unwrap(), &[p]) <= 1.0);
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
            let known = optim::ALL.iter().any(|e| e.name == optimizer);
            if known && recipe["lookahead"].is_null() {
                trace(gpu, &golden, name, optimizer, &recipe["set"]);
                replayed += 1;
            }
        }
        assert_eq!(replayed, 15, "{file}: nine traces of velograd, three of sgd, two of muon, one of schedulefree");
    }
}

fn trace(
    gpu: &velograd::gpu::Gpu,
    golden: &golden_files::Golden,
    name: &str,
    optimizer: &str,
    set: &serde_json::Value,
) {
    let text = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let given: Vec<_> = set.as_object().unwrap().iter().map(|(k, v)| (k.clone(), text(v))).collect();
    let (optimizer, _) = optim::build(optimizer, &given).unwrap();
    let count = golden.names().filter(|n| n.starts_with("inputs/param/")).count();
    let params: Vec<_> = (0..count).map(|i| golden.values(&format!("inputs/param/{i}")).to_vec()).collect();
    let dims: Vec<_> = (0..count).map(|i| golden.shape(&format!("inputs/param/{i}")).to_vec()).collect();
    let losses = golden.values("inputs/loss");
    let mut stepper = Stepper::shaped(gpu, &gpu.target, optimizer, &dims, &narrow(&params)).unwrap();
    for (update, &loss) in losses.iter().enumerate() {
        let slice = |i: usize| {
            let len = params[i].len();
            golden.values(&format!("inputs/grad/{i}"))[update * len..][..len].to_vec()
        };
        let grads: Vec<_> = (0..count).map(slice).collect();
        stepper.step(&narrow(&grads), loss as f32).unwrap();
        // The small file holds every update, the large one the last alone.
        let every = golden.values(&format!("{name}/param/0")).len() > params[0].len();
        if every || update + 1 == losses.len() {
            let row = if every { update } else { 0 };
            let expected: Vec<_> = (0..count)
                .map(|i| {
                    golden.values(&format!("{name}/param/{i}"))[row * params[i].len()..][..params[i].len()].to_vec()
                })
                .collect();
            let worst = worst(&stepper.params().unwrap(), &expected);
            println!("{name}, update {}: {worst:.3} of the bound", update + 1);
            assert!(worst <= 1.0, "{name}, update {}: {worst:.2} times the bound", update + 1);
        }
    }
    if golden.names().any(|n| n == format!("{name}/eval_param/0")) {
        let expected: Vec<_> = (0..count).map(|i| golden.values(&format!("{name}/eval_param/{i}")).to_vec()).collect();
        let before = stepper.params().unwrap();
        let worst = worst(&stepper.evaluation_params().unwrap(), &expected);
        assert!(worst <= 1.0, "{name}, where it is evaluated: {worst:.2} times the bound");
        assert_eq!(stepper.params().unwrap(), before, "{name}: evaluation left a trace");
    }
}

fn muon<'a>(
    gpu: &'a velograd::gpu::Gpu,
    set: &[(&str, &str)],
    dims: &[Vec<usize>],
    params: &[Vec<f32>],
) -> Stepper<'a> {
    let (optimizer, _) = optim::build("muon", &pairs(set)).unwrap();
    Stepper::shaped(gpu, &gpu.target, optimizer, dims, params).unwrap()
}

/// Singular values of a matrix with no more rows than columns: roots of the eigenvalues of its Gram matrix, by Jacobi's
/// rotations.
fn singular_values(x: &[f64], rows: usize) -> Vec<f64> {
    let cols = x.len() / rows;
    let dot = |i: usize, j: usize| (0..cols).map(|k| x[i * cols + k] * x[j * cols + k]).sum::<f64>();
    let mut a: Vec<Vec<f64>> = (0..rows).map(|i| (0..rows).map(|j| dot(i, j)).collect()).collect();
    for _ in 0..12 {
        for p in 0..rows {
            for q in p + 1..rows {
                let angle = 0.5 * (2.0 * a[p][q]).atan2(a[q][q] - a[p][p]);
                let (sin, cos) = angle.sin_cos();
                for row in &mut a {
                    (row[p], row[q]) = (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q]);
                }
                for k in 0..rows {
                    (a[p][k], a[q][k]) = (cos * a[p][k] - sin * a[q][k], sin * a[p][k] + cos * a[q][k]);
                }
            }
        }
    }
    (0..rows).map(|i| a[i][i].max(0.0).sqrt()).collect()
}

/// The first step is lr times a matrix whose singular values Newton-Schulz has brought near 1, whatever the gradient's
/// scale; filters and matrices, wide and tall.
#[test]
fn muon_steps_are_nearly_orthogonal() {
    let Some(gpu) = gpu() else { return };
    let dims = [vec![24, 9, 3, 3], vec![96, 20], vec![20, 96]];
    let lens = dims.iter().map(|d| d.iter().product()).collect::<Vec<usize>>();
    let inputs = OptimizerInputs::new(&lens, 1);
    for scale in [1e-4, 1.0, 1e4] {
        let zeros: Vec<_> = lens.iter().map(|&len| vec![0.0; len]).collect();
        let mut stepper = muon(gpu, &[("lr", "1"), ("scale", "none")], &dims, &zeros);
        let grads: Vec<Vec<f32>> =
            narrow(&inputs.grads[0]).iter().map(|t| t.iter().map(|g| g * scale).collect()).collect();
        stepper.step(&grads, 1.0).unwrap();
        for (dims, step) in dims.iter().zip(stepper.params().unwrap()) {
            let (rows, cols) = (dims[0], step.len() / dims[0]);
            let wide: Vec<f64> = match rows <= cols {
                true => step.iter().map(|&v| f64::from(v)).collect(),
                false => (0..step.len()).map(|at| f64::from(step[at % rows * cols + at / rows])).collect(),
            };
            for value in singular_values(&wide, rows.min(cols)) {
                assert!((0.5..=1.3).contains(&value), "{dims:?}, gradients times {scale}: a singular value of {value}");
            }
        }
    }
}

/// Without a gradient, nothing moves; with airbench's, weights get their norm and no more.
#[test]
fn muon_leaves_what_has_no_gradient() {
    let Some(gpu) = gpu() else { return };
    let dims = [vec![6, 5, 3, 3], vec![9, 4], vec![7]];
    let inputs = OptimizerInputs::new(&[270, 36, 7], 1);
    let (params, none) = (narrow(&inputs.params), [vec![0.0; 270], vec![0.0; 36], vec![0.0; 7]]);
    let mut stepper = muon(gpu, &[], &dims, &params);
    stepper.step(&none, 1.0).unwrap();
    assert_eq!(stepper.params().unwrap(), params);
    let mut stepper = muon(gpu, &[("variant", "airbench")], &dims, &params);
    stepper.step(&none, 1.0).unwrap();
    let norm = |tensor: &Vec<f32>| tensor.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
    let norms: Vec<_> = stepper.params().unwrap().iter().map(norm).collect();
    assert!((norms[0] - 6.0).abs() < 1e-5 && (norms[1] - 9.0).abs() < 1e-5, "squared norms {norms:?}");
    // A matrix of zeros has no direction to keep.
    let mut stepper = muon(gpu, &[("variant", "airbench")], &dims, &none);
    stepper.step(&none, 1.0).unwrap();
    assert_eq!(stepper.params().unwrap(), none);
}

/// In a network the first layer and the last go by AdamW, as do norms and biases; every matrix of a shape shares a dispatch.
#[test]
fn muon_takes_the_hidden_layers() {
    let Some(gpu) = gpu() else { return };
    let mut layout = Layout::default();
    let names =
        ["conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "layer1.0.conv2.weight", "fc.weight", "fc.bias"];
    for name in names {
        let shape = match name {
            "fc.weight" => Shape::Matrix { outputs: 10, inputs: 8 },
            name if name.contains("conv") => Shape::Filter { k: 8, c: 8, r: 3, s: 3 },
            _ => Shape::Vector { c: 8 },
        };
        layout.param(name.into(), shape, Init::Constant(0.0));
    }
    let (optimizer, _) = optim::build("muon", &[]).unwrap();
    let tables: std::collections::BTreeMap<_, _> = optimizer.tables(&layout).into_iter().collect();
    assert_eq!(tables["muon.matrices"].len(), 2 * 8, "two filters");
    let first4 = [tables["muon.matrices"][0], tables["muon.matrices"][8]];
    assert_eq!(first4.map(|at| 4 * at), [layout.params[2].offset, layout.params[3].offset]);
    let recording = optim::record(optimizer.as_ref(), Tape::over_layout(&gpu.target, &layout));
    assert_eq!(recording.calls.len(), 2 + 3 + 5 * 3 + 1 + 1);
}

/// A setting that does not exist or fit is an error that names it, its range, and the nearest name.
#[test]
fn settings_are_checked() {
    let refused = |name: &str, key: &str, value: &str| {
        let error = optim::build(name, &pairs(&[(key, value)])).err().expect("refused");
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    assert!(refused("velogrd", "lr", "1").contains("`velograd`"));
    assert!(refused("velograd", "beta_1", "0.9").contains("did you mean `beta1`"));
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
}
