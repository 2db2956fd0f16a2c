//! `velograd eval`

use std::path::PathBuf;

use clap::Args;

use super::{
    DataFlags, json_line, open_device,
    print::{remark, say},
};
use crate::{
    data::{self, Split},
    error::{Error, Result},
    host::{checkpoint, data as host_data, loader::ReadAhead},
    models,
    training::evaluate::{Evaluation, evaluate, evaluator},
};
use pollster::block_on;

/// Images of a batch; the numbers do not depend on it.
const BATCH: u32 = 128;

#[derive(Args)]
pub(super) struct Arguments {
    /// What `train` wrote, checkpoints included, or torchvision's state dict as safetensors; stem, width and classes come from
    /// there
    #[arg(long, value_name = "FILE.safetensors")]
    weights: PathBuf,
    #[command(flatten)]
    data: DataFlags,
    /// The network [default: the one that the weights are of]
    #[arg(long)]
    model: Option<String>,
    /// Test-time augmentation: the weighted mean of the logits of six views of each image, as it is, a pixel up and left and a
    /// pixel down and right, each also mirrored
    #[arg(long)]
    tta: bool,
    /// Of the images of shapes10; the run's own
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Adapter by index or part of its name
    #[arg(long, value_name = "NAME|INDEX")]
    device: Option<String>,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let wanted = arguments.model.as_deref().map(models::find).transpose()?;
    let (model, config) = checkpoint::recognize(&arguments.weights)?;
    if let Some(wanted) = wanted.filter(|wanted| wanted.name != model.name) {
        let (expected, found) = (format!("weights of {}", wanted.name), format!("those of {}", model.name));
        return Err(Error::data(&arguments.weights, expected, found, "leave --model away"));
    }
    let opened = host_data::open(arguments.data.dataset.as_deref(), arguments.data.data.as_deref(), arguments.seed)?;
    // With --json, standard output is the object alone.
    opened.notes.iter().for_each(|note| remark(note));
    let dataset = opened.dataset;
    if config.classes as usize != data::CLASSES {
        let found = format!("{} classes", config.classes);
        return Err(Error::data(&arguments.weights, format!("a network of {} classes", data::CLASSES), found, ""));
    }
    if dataset.len(Split::Test) == 0 {
        return Err(Error::config("the data set has no test images", "eval needs test_batch.bin"));
    }
    let gpu = open_device(arguments.device.as_deref())?;
    let weights = |layout: &_| checkpoint::weights(&arguments.weights, layout);
    let mut network = block_on(evaluator(&gpu, dataset.as_ref(), (model, config), BATCH, arguments.tta, weights))?;
    let evaluation =
        block_on(evaluate(&mut network, &ReadAhead(dataset.clone()), BATCH))?.expect("there are test images");
    if arguments.json {
        json_line(&evaluation);
    } else {
        say!(
            "{}{}, width {}{}, on {} test images of {}, {}",
            model.name,
            if model.stems { format!(", {} stem", config.stem.name()) } else { String::new() },
            config.width,
            if arguments.tta { ", six views" } else { "" },
            dataset.len(Split::Test),
            dataset.spec().name,
            gpu.info.name
        );
        print(&evaluation, &dataset.spec().classes);
    }
    Ok(())
}

fn print(evaluation: &Evaluation, classes: &[String]) {
    let Evaluation { accuracy, loss, f1, precision, recall, confusion } = evaluation;
    say!("accuracy {accuracy:.2} %  loss {loss:.4}  F1 {f1:.4}  precision {precision:.4}  recall {recall:.4}");
    say!("\nconfusion matrix, a row per true class, a column per prediction:");
    let widest = classes.iter().map(String::len).max().unwrap_or(0);
    for (class, row) in classes.iter().zip(confusion) {
        let cells: String = row.iter().map(|count| format!("{count:>7}")).collect();
        say!("{class:>widest$} {cells}");
    }
}
