//! Runs one optimizer on recorded gradients, without a network.
//!
//! ```text
//! cargo run --release --example replay_trace -- --optimizer velograd [--set K=V]... [--lookahead K,ALPHA] \
//!     --trace IN.safetensors --out OUT.safetensors
//! ```
//!
//! `IN` holds `inputs/param/<i>`, `inputs/grad/<i>` (first axis: updates) and `inputs/loss`. `OUT` gets `param/<i>`,
//! the parameters after each update (first axis: updates), and `eval_param/<i>`, the parameters to evaluate with at the
//! end, which differ from the last ones only under Schedule-Free.

use std::{path::PathBuf, process::ExitCode, str::FromStr};

use clap::Parser;
use pollster::block_on;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use velograd::{
    error::{Error, Result},
    host::{files::write_atomically, rule_file},
    optim::{Lookahead, Stepper},
};

#[derive(Parser)]
struct Arguments {
    /// The rule: its name, or a file with a rule of one's own.
    #[arg(long, value_name = "NAME|FILE.wgsl", default_value = "velograd")]
    optimizer: String,
    /// KEY=VALUE, as often as needed.
    #[arg(long = "set", value_parser = velograd::cli::key_value)]
    set: Vec<(String, String)>,
    /// Zhang's Lookahead around the rule, e.g. 5,0.5.
    #[arg(long, value_name = "K,ALPHA", value_parser = Lookahead::from_str)]
    lookahead: Option<Lookahead>,
    /// Safetensors with `inputs/param/<i>`, `inputs/grad/<i>`, `inputs/loss`.
    #[arg(long)]
    trace: PathBuf,
    /// Where `param/<i>` go.
    #[arg(long)]
    out: PathBuf,
    /// Adapter by index or part of its name.
    #[arg(long)]
    device: Option<String>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let (rule, _) = rule_file::choose(&arguments.optimizer)?.build(&arguments.set)?;
    let optimizer = match arguments.lookahead {
        Some(lookahead) => lookahead.around(rule),
        None => rule,
    };
    let path = &arguments.trace;
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let trace = Trace::read(arguments, &bytes)?;

    let gpu = velograd::host::device::open(arguments.device.as_deref())?;
    let mut stepper = block_on(Stepper::shaped(&gpu, &gpu.target, optimizer, &trace.shapes, &trace.params))?;
    let mut history = vec![Vec::new(); trace.params.len()];
    for (update, &loss) in trace.losses.iter().enumerate() {
        let slice = |(grads, params): (&Vec<f32>, &Vec<f32>)| grads[update * params.len()..][..params.len()].to_vec();
        let grads: Vec<_> = trace.grads.iter().zip(&trace.params).map(slice).collect();
        let report = block_on(stepper.step(&grads, loss))?;
        if report.skip != 0 {
            eprintln!("update {}: skipped, its loss or gradient is not finite", update + 1);
        }
        for (all, now) in history.iter_mut().zip(block_on(stepper.params())?) {
            all.extend(now);
        }
    }
    write(arguments, &trace, &history, &block_on(stepper.evaluation_params())?)?;
    println!("{} updates of {} tensors on {}", trace.losses.len(), trace.params.len(), gpu.info.name);
    Ok(())
}

struct Trace {
    params: Vec<Vec<f32>>,
    shapes: Vec<Vec<usize>>,
    grads: Vec<Vec<f32>>,
    losses: Vec<f32>,
}

impl Trace {
    fn read(arguments: &Arguments, bytes: &[u8]) -> Result<Self> {
        let wrong = |expected: &str, found: String| Error::data(&arguments.trace, expected, found, "");
        let file = SafeTensors::deserialize(bytes).map_err(|e| wrong("a safetensors file", e.to_string()))?;
        let floats = |name: &str| -> Result<(Vec<usize>, Vec<f32>)> {
            let view = file.tensor(name).map_err(|e| wrong(&format!("a tensor `{name}`"), e.to_string()))?;
            if view.dtype() != Dtype::F32 {
                return Err(wrong(&format!("`{name}` as F32"), format!("{:?}", view.dtype())));
            }
            Ok((view.shape().to_vec(), bytemuck::pod_collect_to_vec(view.data())))
        };
        let (_, losses) = floats("inputs/loss")?;
        let (mut params, mut shapes, mut grads) = (vec![], vec![], vec![]);
        while file.tensor(&format!("inputs/param/{}", params.len())).is_ok() {
            let i = params.len();
            let (shape, param) = floats(&format!("inputs/param/{i}"))?;
            let (grad_shape, grad) = floats(&format!("inputs/grad/{i}"))?;
            if grad_shape != [&[losses.len()], &shape[..]].concat() {
                let expected = format!("`inputs/grad/{i}` of {} updates of shape {shape:?}", losses.len());
                return Err(wrong(&expected, format!("{grad_shape:?}")));
            }
            params.push(param);
            shapes.push(shape);
            grads.push(grad);
        }
        if params.is_empty() {
            return Err(wrong("a tensor `inputs/param/0`", "none".into()));
        }
        Ok(Self { params, shapes, grads, losses })
    }
}

fn write(arguments: &Arguments, trace: &Trace, history: &[Vec<f32>], evaluated: &[Vec<f32>]) -> Result<()> {
    let mut views: Vec<_> = (0..history.len())
        .map(|i| {
            let shape = [&[trace.losses.len()], &trace.shapes[i][..]].concat();
            let view = TensorView::new(Dtype::F32, shape, bytemuck::cast_slice(&history[i]));
            (format!("param/{i}"), view.expect("the history has this shape"))
        })
        .collect();
    for (i, values) in evaluated.iter().enumerate() {
        let view = TensorView::new(Dtype::F32, trace.shapes[i].clone(), bytemuck::cast_slice(values));
        views.push((format!("eval_param/{i}"), view.expect("parameters have their shape")));
    }
    let bytes = safetensors::serialize(views, None).expect("names are unique");
    write_atomically(&arguments.out, &bytes)
}
