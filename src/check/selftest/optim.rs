//! Optimizers, and the gradient's norm before them: a dozen updates with difficult gradients, compared with the f64
//! reference.

use super::Row;
use crate::{
    check::reference,
    device::Gpu,
    error::Result,
    optim::{self, Stepper},
    program::target::Target,
    random::Rng,
};

/// The settings with which each optimizer of the registry is compared; an optimizer without a row fails the tests by
/// name. Two words are not settings of a rule: `lookahead` wraps it, and `no_decay` lists the indices of tensors that
/// weight decay leaves out. An optimizer with weight decay has a case for each kind of it.
pub static OPTIMIZER_CASES: &[(&str, &[(&str, &str)])] = &[
    ("velograd", &[]),
    ("velograd", &[("scope", "global"), ("decay_norm", "delta")]),
    (
        "velograd",
        &[("lr", "0.01"), ("beta1", "0.8"), ("weight_decay", "0.1"), ("lookahead_k", "3"), ("no_decay", LEFT_OUT)],
    ),
    ("velograd", &[("alpha_slow", "0.3"), ("alpha_interp", "0.6"), ("lookahead_k", "1")]),
    ("velograd", &[("weight_decay", "0"), ("use_lookahead", "false")]),
    ("velograd", &[("use_select", "false"), ("use_norm", "false")]),
    ("velograd", &[("use_loss", "false"), ("use_sim", "false"), ("use_adaptive_decay", "false")]),
    ("velograd", &[("beta1", "0")]),
    ("velograd", &[("lookahead", "4,0.3")]),
    ("sgd", &[("lr", "0.01")]),
    (
        "sgd",
        &[("lr", "0.01"), ("momentum", "0.9"), ("dampening", "0.5"), ("weight_decay", "0.001"), ("no_decay", LEFT_OUT)],
    ),
    ("sgd", &[("lr", "0.01"), ("momentum", "0.9"), ("nesterov", "true")]),
    ("adam", &[]),
    ("adam", &[("lookahead", "5,0.5")]),
    ("adam", &[("weight_decay", "0.01"), ("amsgrad", "true"), ("no_decay", LEFT_OUT)]),
    ("adam", &[("beta1", "0"), ("beta2", "0")]),
    ("adamw", &[]),
    ("adamw", &[("lr", "0.01"), ("weight_decay", "0.1"), ("amsgrad", "true"), ("no_decay", LEFT_OUT)]),
    ("nadamw", &[]),
    ("nadamw", &[("lr", "0.01"), ("weight_decay", "0.1"), ("no_decay", LEFT_OUT)]),
    ("rmsprop", &[]),
    // The larger eps is needed because an element whose gradient and decay nearly cancel would magnify its rounding
    // errors.
    (
        "rmsprop",
        &[("lr", "0.001"), ("momentum", "0.9"), ("weight_decay", "0.01"), ("eps", "1e-4"), ("no_decay", LEFT_OUT)],
    ),
    ("rmsprop", &[("lr", "0.001"), ("centered", "true"), ("alpha", "0.9")]),
    ("rmsprop", &[("lr", "0.001"), ("centered", "true"), ("momentum", "0.9")]),
    ("adagrad", &[]),
    (
        "adagrad",
        &[("lr_decay", "0.1"), ("weight_decay", "0.01"), ("initial_accumulator_value", "0.1"), ("no_decay", LEFT_OUT)],
    ),
    ("adadelta", &[]),
    ("adadelta", &[("rho", "0.95"), ("weight_decay", "0.01"), ("no_decay", LEFT_OUT)]),
    ("nadam", &[]),
    ("nadam", &[("weight_decay", "0.01"), ("momentum_decay", "0.1"), ("no_decay", LEFT_OUT)]),
    ("nadam", &[("weight_decay", "0.1"), ("decoupled_weight_decay", "true"), ("no_decay", LEFT_OUT)]),
    ("radam", &[]),
    ("radam", &[("beta2", "0.9"), ("weight_decay", "0.01"), ("no_decay", LEFT_OUT)]),
    ("radam", &[("weight_decay", "0.1"), ("decoupled_weight_decay", "true"), ("no_decay", LEFT_OUT)]),
    ("adabelief", &[("weight_decay", "0.01"), ("no_decay", LEFT_OUT)]),
    (
        "adabelief",
        &[("eps", "1e-8"), ("weight_decay", "0.0005"), ("wd_mode", "l2"), ("amsgrad", "true"), ("no_decay", LEFT_OUT)],
    ),
    ("adabelief", &[("weight_decay", "0.001"), ("wd_mode", "fixed"), ("rectify", "true"), ("no_decay", LEFT_OUT)]),
    ("laprop", &[("weight_decay", "0.1"), ("no_decay", LEFT_OUT)]),
    ("laprop", &[("weight_decay", "0.001"), ("official", "true"), ("no_decay", LEFT_OUT)]),
    ("adabound", &[]),
    (
        "adabound",
        &[
            ("gamma", "0.5"),
            ("final_lr", "0.01"),
            ("weight_decay", "0.01"),
            ("amsbound", "true"),
            ("no_decay", LEFT_OUT),
        ],
    ),
    ("adabound", &[("gamma", "0")]),
    ("amvt", &[]),
    ("amvt", &[("weight_decay", "0.0001"), ("bias_corrected", "false"), ("no_decay", LEFT_OUT)]),
    ("amvt", &[("eps_mode", "outside"), ("weight_decay", "0.01"), ("wd_mode", "decoupled"), ("no_decay", LEFT_OUT)]),
    ("amvt", &[("clip", "1")]),
    ("vradam", &[]),
    (
        "vradam",
        &[("lr", "0.0846"), ("beta3", "1.015"), ("alpha1", "29"), ("weight_decay", "0.01"), ("no_decay", LEFT_OUT)],
    ),
    ("vradam", &[("norm_of", "grad"), ("beta3", "0.001"), ("lookahead", "1,0.5")]),
    ("mvngrad", &[]),
    ("mvngrad", &[("eps_s", "1e-8"), ("weight_decay", "0.1"), ("no_decay", LEFT_OUT)]),
    ("mvngrad", &[("weight_decay", "0.01"), ("wd_mode", "l2"), ("no_decay", LEFT_OUT)]),
    ("lion", &[]),
    ("lion", &[("beta1", "0.95"), ("weight_decay", "0.1"), ("no_decay", LEFT_OUT)]),
    ("signum", &[]),
    ("signum", &[("momentum", "0"), ("lookahead", "4,0.5")]),
    ("signum", &[("weight_decay", "0.1"), ("momentum", "0.8"), ("no_decay", LEFT_OUT)]),
    ("signum", &[("weight_decay", "0.1"), ("wd_mode", "decoupled"), ("no_decay", LEFT_OUT)]),
    ("ademamix", &[]),
    (
        "ademamix",
        &[
            ("beta3", "0.99"),
            ("alpha", "5"),
            ("beta3_warmup", "9"),
            ("alpha_warmup", "7"),
            ("weight_decay", "0.1"),
            ("no_decay", LEFT_OUT),
        ],
    ),
    ("ademamix", &[("beta1", "0"), ("beta3_warmup", "40"), ("alpha_warmup", "40")]),
    ("lars", &[("lr", "0.1"), ("weight_decay", "0.1"), ("no_decay", LEFT_OUT)]),
    (
        "lars",
        &[
            ("lr", "0.1"),
            ("momentum", "0.9"),
            ("dampening", "0.5"),
            ("trust_coeff", "0.02"),
            ("weight_decay", "0.01"),
            ("no_decay", LEFT_OUT),
        ],
    ),
    (
        "lars",
        &[("lr", "0.1"), ("momentum", "0.9"), ("nesterov", "true"), ("always_adapt", "true"), ("trust_coeff", "0.01")],
    ),
    (
        "lars",
        &[
            ("lr", "0.01"),
            ("momentum", "0.9"),
            ("trust_clip", "true"),
            ("always_adapt", "true"),
            ("lookahead", "3,0.5"),
        ],
    ),
    ("lamb", &[("weight_decay", "0.02"), ("no_decay", LEFT_OUT)]),
    (
        "lamb",
        &[
            ("lr", "0.01"),
            ("weight_decay", "0.1"),
            ("trust_clip", "true"),
            ("bias_correction", "false"),
            ("no_decay", LEFT_OUT),
        ],
    ),
    ("lamb", &[("weight_decay", "0"), ("always_adapt", "true"), ("grad_averaging", "false")]),
    ("adan", &[("weight_decay", "0.02"), ("lookahead", "3,0.8"), ("no_decay", LEFT_OUT)]),
    ("adan", &[("lr", "0.01"), ("weight_decay", "0.02"), ("no_prox", "true"), ("no_decay", LEFT_OUT)]),
    ("muon", &[]),
    ("muon", &[("weight_decay", "0.1"), ("scale", "keller"), ("aux_weight_decay", "0.1"), ("no_decay", LEFT_OUT)]),
    ("muon", &[("nesterov", "false"), ("ns_steps", "2"), ("scale", "none"), ("aux_lr", "0.01"), ("aux_beta1", "0")]),
    ("muon", &[("lr", "0.002"), ("scale", "match_rms_adamw"), ("momentum", "0.5")]),
    ("muon", &[("variant", "airbench"), ("lr", "0.1"), ("momentum", "0.6"), ("ns_steps", "3")]),
    (
        "muon",
        &[
            ("weight_decay", "0.1"),
            ("aux", "sgd"),
            ("aux_lr", "0.01"),
            ("aux_weight_decay", "0.01"),
            ("no_decay", LEFT_OUT),
        ],
    ),
    ("schedulefree", &[]),
    ("schedulefree", &[("weight_decay", "0.1"), ("warmup_steps", "6"), ("no_decay", LEFT_OUT)]),
    (
        "schedulefree",
        &[("lr", "0.01"), ("r", "1.5"), ("weight_lr_power", "1"), ("beta1", "0.8"), ("warmup_steps", "3")],
    ),
];

/// One element, a few, more than a chunk of 1,024, more than a block of 16,384; filters as matrices wider than tall,
/// larger and smaller than a tile; and matrices taller than wide.
const DIMS: [&[usize]; 8] = [&[1], &[13], &[1030], &[20_000], &[70, 9, 3, 3], &[5, 3, 3, 2], &[90, 7], &[150, 70]];

/// Indices in [`DIMS`] of tensors without weight decay: one of one chunk and one of two, a wide matrix and a tall one.
const LEFT_OUT: &str = "1,2,5,7";

const UPDATES: usize = 16;

/// Parameters, gradients and losses that f32 holds exactly.
pub struct OptimizerInputs {
    /// One list per tensor.
    pub params: Vec<Vec<f64>>,
    /// Per update, one list per tensor.
    pub grads: Vec<Vec<Vec<f64>>>,
    /// One loss per update.
    pub losses: Vec<f64>,
}

impl OptimizerInputs {
    /// Gradients that drift, with noise, and difficult ones: update 4 has a gradient of zero, 6 a spike, 8 a tiny
    /// gradient, 10 repeats a gradient, 12 negates one.
    pub fn new(lens: &[usize], updates: usize) -> Self {
        let mut rng = Rng::new(3);
        let mut draw = |len: usize, scale: f64| -> Vec<f64> {
            (0..len).map(|_| f64::from((scale * (2.0 * rng.uniform() - 1.0)) as f32)).collect()
        };
        let params = lens.iter().map(|&len| draw(len, 0.5)).collect();
        let drift: Vec<_> = lens.iter().map(|&len| draw(len, 0.1)).collect();
        let mut grads: Vec<Vec<Vec<f64>>> = Vec::new();
        for update in 1..=updates {
            let mut now: Vec<Vec<f64>> = lens.iter().map(|&len| draw(len, 0.1)).collect();
            for (tensor, drift) in now.iter_mut().zip(&drift) {
                tensor.iter_mut().zip(drift).for_each(|(g, d)| *g = f64::from((*g + d) as f32));
            }
            match update {
                4 => now.iter_mut().flatten().for_each(|g| *g = 0.0),
                6 => now[0].iter_mut().for_each(|g| *g = f64::from((*g * 100.0) as f32)),
                8 => now.iter_mut().flatten().for_each(|g| *g = f64::from((*g * 1e-6) as f32)),
                10 => now[0] = grads[8][0].clone(),
                12 => now[0] = grads[10][0].iter().map(|g| -g).collect(),
                _ => {}
            }
            grads.push(now);
        }
        let losses = (1..=updates).map(|t| f64::from((2.5 * 0.9_f64.powi(t as i32)) as f32)).collect();
        Self { params, grads, losses }
    }
}

/// The tensors in f32, as the device takes them.
pub fn narrow(tensors: &[Vec<f64>]) -> Vec<Vec<f32>> {
    tensors.iter().map(|t| t.iter().map(|&v| v as f32).collect()).collect()
}

/// How far a parameter may be off after some twenty updates: NumPy in f32 stays within a tenth of this.
pub fn optimizer_bound(expected: f64) -> f64 {
    2e-6 + 1e-5 * expected.abs()
}

/// Runs the optimizer cases on one target and returns a row for each kernel that took part.
pub(super) async fn rows(gpu: &Gpu, target: &Target, short: bool) -> Result<Vec<Row>> {
    let inputs = inputs();
    let mut rows = Vec::new();
    let mut last = "";
    for (name, settings) in OPTIMIZER_CASES {
        if !short || *name != last {
            rows.extend(case(gpu, target, name, settings, &inputs).await?);
        }
        last = name;
    }
    Ok(rows)
}

/// Runs an optimizer's first case and returns its rows.
pub(super) async fn first(gpu: &Gpu, target: &Target, optimizer: &str) -> Result<Vec<Row>> {
    let inputs = inputs();
    let of = OPTIMIZER_CASES.iter().find(|(name, _)| *name == optimizer);
    match of {
        Some((name, settings)) => case(gpu, target, name, settings, &inputs).await,
        None => Ok(vec![]),
    }
}

fn inputs() -> OptimizerInputs {
    OptimizerInputs::new(&DIMS.map(|dims| dims.iter().product()), UPDATES)
}

/// The rule and the reference that a row of [`OPTIMIZER_CASES`] stands for.
pub struct OptimizerCase {
    /// The rule.
    pub optimizer: Box<dyn optim::Optimizer>,
    /// Its f64 reference.
    pub reference: Box<dyn reference::optim::Optimizer>,
    /// Indices of tensors that weight decay leaves out.
    pub left_out: Vec<usize>,
}

/// The optimizer of a case and its f64 reference.
///
/// # Errors
/// As [`optim::build`].
pub fn optimizer_case(name: &str, set: &[(&str, &str)]) -> Result<OptimizerCase> {
    let around = |key: &str| set.iter().find(|(k, _)| *k == key).map(|(_, text)| *text);
    let own = set.iter().filter(|(key, _)| !["lookahead", "no_decay"].contains(key));
    let given: Vec<_> = own.map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let lookahead: Option<optim::Lookahead> = around("lookahead").map(str::parse).transpose()?;
    let (rule, _) = optim::build(name, &given)?;
    let optimizer = match lookahead {
        Some(lookahead) => lookahead.around(rule),
        None => rule,
    };
    let truth = |given: &[(String, String)]| -> Box<dyn reference::optim::Optimizer> {
        let rule = reference::optim::build(name, given).unwrap_or_else(|| panic!("`{name}` has no f64 reference"));
        match lookahead {
            Some(l) => Box::new(reference::optim::Lookahead::new(rule, u64::from(l.k), l.alpha)),
            None => rule,
        }
    };
    let Some(left_out) = around("no_decay") else {
        return Ok(OptimizerCase { optimizer, reference: truth(&given), left_out: vec![] });
    };
    let left_out: Vec<usize> = left_out.split(',').map(|i| i.parse().expect("an index")).collect();
    let rule = optim::find(name)?;
    let decays = rule.settings.iter().filter(|s| ["weight_decay", "aux_weight_decay"].contains(&s.key.as_str()));
    let without: Vec<_> = given.iter().cloned().chain(decays.map(|s| (s.key.clone(), "0".to_owned()))).collect();
    let reference = reference::optim::NoDecay::new(truth(&given), truth(&without), &left_out);
    Ok(OptimizerCase { optimizer, reference: Box::new(reference), left_out })
}

async fn case(
    gpu: &Gpu,
    target: &Target,
    name: &str,
    set: &[(&str, &str)],
    inputs: &OptimizerInputs,
) -> Result<Vec<Row>> {
    let OptimizerCase { optimizer, mut reference, left_out } = optimizer_case(name, set)?;
    let dims = DIMS.map(<[usize]>::to_vec);
    reference.shapes(&dims);
    let mut stepper = Stepper::excluding(gpu, target, optimizer, &dims, &narrow(&inputs.params), &left_out).await?;
    let mut expected = inputs.params.clone();
    let (mut worst, mut bound) = (0.0_f64, 0.0);
    for (update, (grads, &loss)) in inputs.grads.iter().zip(&inputs.losses).enumerate() {
        reference.step(&mut expected, grads, loss);
        stepper.step(&narrow(grads), loss as f32).await?;
        if ![0, 1, 3, UPDATES - 1].contains(&update) {
            continue;
        }
        let mut pairs = vec![(stepper.params().await?, &expected[..])];
        if let Some(evaluated) = reference.evaluation() {
            pairs.push((stepper.evaluation_params().await?, evaluated));
        }
        let elements = pairs.iter().flat_map(|(found, expected)| {
            let tensors = found.iter().zip(*expected).enumerate();
            tensors.flat_map(|(i, (f, e))| f.iter().zip(e).enumerate().map(move |(j, pair)| ((i, j), pair)))
        });
        for ((i, j), (found, expected)) in elements {
            if reference.undecided(i, j) {
                continue; // about one of a hundred thousand for a rule that takes signs
            }
            let error = (f64::from(*found) - expected).abs() / optimizer_bound(*expected);
            // A NaN counts as worse than any number.
            if error > worst || error.is_nan() {
                (worst, bound) = (if error.is_nan() { f64::INFINITY } else { error }, optimizer_bound(*expected));
            }
        }
    }
    let settings: String = set.iter().map(|(k, v)| format!(" {k}={v}")).collect();
    let row = |(kernel, form): &(String, String)| Row {
        kernel: kernel.clone(),
        form: form.clone(),
        case: format!("{name}{settings}"),
        worst,
        bound,
        passed: worst <= 1.0,
    };
    Ok(stepper.kernels().iter().map(row).collect())
}
