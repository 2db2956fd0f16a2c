//! Muon's properties. `ops` compares it with its f64 reference, `optimizers` with golden traces.

use std::collections::BTreeMap;

use pollster::block_on;
use velograd::{
    check::{
        reference,
        selftest::{OptimizerInputs, narrow, optimizer_bound},
    },
    device::Gpu,
    optim::{self, Stepper},
    program::{
        Tape,
        params::{Init, Layout, Role, Shape},
    },
};

use crate::support::gpu;

fn muon(gpu: &Gpu, set: &[(&str, &str)], dims: &[Vec<usize>], params: &[Vec<f32>]) -> Stepper {
    let (optimizer, _) =
        optim::build("muon", &set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>()).unwrap();
    block_on(Stepper::shaped(gpu, &gpu.target, optimizer, dims, params)).unwrap()
}

/// Singular values of a matrix with no more rows than columns: the roots of the eigenvalues of its Gram matrix, by
/// Jacobi rotations.
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
                let (above, below) = a.split_at_mut(q);
                for (x, y) in above[p].iter_mut().zip(&mut below[0]) {
                    (*x, *y) = (cos * *x - sin * *y, sin * *x + cos * *y);
                }
            }
        }
    }
    (0..rows).map(|i| a[i][i].max(0.0).sqrt()).collect()
}

/// The first step is lr times a matrix whose singular values Newton-Schulz has brought near 1, whatever the gradient's
/// scale; for filters and matrices, wide and tall.
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
        block_on(stepper.step(&grads, 1.0)).unwrap();
        for (dims, step) in dims.iter().zip(block_on(stepper.params()).unwrap()) {
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

/// The factor of a filter's learning rate is by default that of the matrix it is, and with `scale=keller` that of its
/// height and width.
#[test]
fn muon_scales_filters_as_matrices() {
    let Some(gpu) = gpu() else { return };
    let dims = [vec![72, 2, 3, 3], vec![8, 9, 3, 3], vec![36, 9]];
    let lens = dims.iter().map(|d| d.iter().product()).collect::<Vec<usize>>();
    let inputs = OptimizerInputs::new(&lens, 1);
    let zeros: Vec<_> = lens.iter().map(|&len| vec![0.0; len]).collect();
    let step = |set: &[(&str, &str)]| {
        let mut stepper = muon(gpu, &[&[("lr", "1")], set].concat(), &dims, &zeros);
        block_on(stepper.step(&narrow(&inputs.grads[0]), 1.0)).unwrap();
        block_on(stepper.params()).unwrap()
    };
    let (default, keller, none) = (step(&[]), step(&[("scale", "keller")]), step(&[("scale", "none")]));
    // Matrices of 72 rows by 18 columns, 8 by 81 and 36 by 9 have the roots of 4, 1 (the least) and 4.
    for (tensor, factors) in [[2.0, 1.0], [1.0, 1.0], [2.0, 2.0]].into_iter().enumerate() {
        for (found, factor) in [(&default, factors[0]), (&keller, factors[1])] {
            for (found, plain) in found[tensor].iter().zip(&none[tensor]) {
                assert!(
                    (found - factor * plain).abs() <= 1e-6,
                    "tensor {tensor}: {found} is not {factor} times {plain}"
                );
            }
        }
    }
}

/// Without a gradient nothing moves; with `variant=airbench`, weights are only rescaled to their norm.
#[test]
fn muon_leaves_what_has_no_gradient() {
    let Some(gpu) = gpu() else { return };
    let dims = [vec![6, 5, 3, 3], vec![9, 4], vec![7]];
    let inputs = OptimizerInputs::new(&[270, 36, 7], 1);
    let (params, none) = (narrow(&inputs.params), [vec![0.0; 270], vec![0.0; 36], vec![0.0; 7]]);
    let mut stepper = muon(gpu, &[], &dims, &params);
    block_on(stepper.step(&none, 1.0)).unwrap();
    assert_eq!(block_on(stepper.params()).unwrap(), params);
    let mut stepper = muon(gpu, &[("variant", "airbench")], &dims, &params);
    block_on(stepper.step(&none, 1.0)).unwrap();
    let norm = |tensor: &Vec<f32>| tensor.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
    let norms: Vec<_> = block_on(stepper.params()).unwrap().iter().map(norm).collect();
    assert!((norms[0] - 6.0).abs() < 1e-5 && (norms[1] - 9.0).abs() < 1e-5, "squared norms {norms:?}");
    // A matrix of zeros has no direction to keep.
    let mut stepper = muon(gpu, &[("variant", "airbench")], &dims, &none);
    block_on(stepper.step(&none, 1.0)).unwrap();
    assert_eq!(block_on(stepper.params()).unwrap(), none);
}

/// In a network, AdamW updates the first and last layer, norms and biases; all matrices of a shape share a dispatch.
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
        layout.param(name.into(), shape, Init::Constant(0.0), true);
    }
    let (optimizer, _) = optim::build("muon", &[]).unwrap();
    let tables: BTreeMap<_, _> = optimizer.tables(&layout).into_iter().collect();
    assert_eq!(tables["muon.matrices"].len(), 2 * 9, "two filters");
    let first4 = [tables["muon.matrices"][0], tables["muon.matrices"][9]];
    assert_eq!(first4.map(|at| 4 * at), [layout.params[2].offset, layout.params[3].offset]);
    let recording = optim::record(optimizer.as_ref(), optim::Clip::default(), Tape::over_layout(&gpu.target, &layout));
    assert_eq!(recording.calls.len(), 2 + 3 + 5 * 3 + 1 + 1);
}

/// With `aux=sgd`, vectors, the first layer's bias and the matrices of the first and last layer each have the learning
/// rate and decay of their group, as a run of SGD alone has; frozen tensors stay.
#[test]
fn muon_moves_each_group_at_its_own_rate() {
    let Some(gpu) = gpu() else { return };
    let mut layout = Layout::default();
    let whiten = Shape::Filter { k: 8, c: 3, r: 2, s: 2 };
    layout.param_of(Role::Frozen, "whiten.weight".into(), whiten, Init::Constant(0.0), false);
    for (name, shape) in [
        ("whiten.bias", Shape::Vector { c: 8 }),
        ("layers.1.conv1.weight", Shape::Filter { k: 5, c: 8, r: 3, s: 3 }),
        ("layers.1.norm1.bias", Shape::Vector { c: 5 }),
        ("head.weight", Shape::Matrix { outputs: 10, inputs: 5 }),
    ] {
        layout.param(name.into(), shape, Init::Constant(0.0), true);
    }
    let lens: Vec<usize> = layout.params.iter().map(|s| s.shape.elements()).collect();
    let mut inputs = OptimizerInputs::new(&lens, 6);
    inputs.grads.iter_mut().for_each(|grads| grads[0].fill(0.0));
    let set = [
        ("variant", "airbench"),
        ("lr", "0.2"),
        ("aux", "sgd"),
        ("aux_momentum", "0.8"),
        ("aux_lr", "0.5"),
        ("aux_weight_decay", "0.01"),
        ("head_lr", "2"),
        ("head_weight_decay", "0.003"),
        ("first_bias_updates", "4"),
    ];
    let owned: Vec<_> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let (optimizer, _) = optim::build("muon", &owned).unwrap();
    let first = narrow(&inputs.params);
    let mut stepper = block_on(Stepper::over(gpu, &gpu.target, optimizer, layout, &first)).unwrap();
    // For each tensor: its learning rate in update t at a factor of the schedule, and its decay.
    let group = |name: &str, t: usize, factor: f64| match name {
        "whiten.bias" => (0.5 * (1.0 - t as f64 / 4.0).max(0.0), "0.01"),
        "head.weight" => (2.0 * factor, "0.003"),
        _ => (0.5 * factor, "0.01"),
    };
    let mut by_sgd: Vec<(usize, &str, Box<dyn reference::optim::Optimizer>)> =
        [(1, "whiten.bias"), (3, "layers.1.norm1.bias"), (4, "head.weight")]
            .into_iter()
            .map(|(i, name)| {
                let set = [("momentum", "0.8"), ("nesterov", "true"), ("weight_decay", group(name, 0, 1.0).1)];
                let owned: Vec<_> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
                (i, name, reference::optim::build("sgd", &owned).unwrap())
            })
            .collect();
    let mut expected = inputs.params.clone();
    for (t, (grads, factor)) in inputs.grads.iter().zip([1.0, 0.9, 0.7, 0.4, 0.2, 0.1]).enumerate() {
        stepper.set_lr(0.2 * factor);
        block_on(stepper.step(&narrow(grads), 1.0)).unwrap();
        let found = block_on(stepper.params()).unwrap();
        for (i, name, rule) in &mut by_sgd {
            rule.set("lr", &group(name, t, factor).0.to_string()).unwrap();
            rule.step(&mut expected[*i..*i + 1], &grads[*i..*i + 1], 1.0);
            for (found, expected) in found[*i].iter().zip(&expected[*i]) {
                let off = (f64::from(*found) - expected).abs();
                assert!(off <= optimizer_bound(*expected), "{name}, update {t}: {found} is not {expected}");
            }
        }
        assert_eq!(found[0], first[0], "what is frozen moved in update {t}");
        assert!(found[2] != first[2], "Muon's own matrix stayed");
    }
}
