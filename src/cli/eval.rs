//! `velograd eval`

use std::path::PathBuf;

use clap::Args;

use super::{
    flags::{data::DataFlags, device::DeviceFlags},
    json_line, live,
    of_run::OfRun,
    open_device,
    print::{self, remark, say},
    resume,
};
use crate::{
    data::{self, Split},
    error::{Error, Result},
    host::{checkpoint, data as host_data, loader::ReadAhead},
    lab::confusion,
    models,
    training::evaluate::{Evaluation, evaluate, evaluator},
};
use pollster::block_on;

/// Images of a batch; the numbers do not depend on it.
const BATCH: u32 = 128;

#[derive(Args)]
pub(super) struct Arguments {
    /// The folder of a run (or one with several, or `latest`, or a checkpoint): its last weights, on the images that it was made
    /// with
    #[arg(value_name = "RUN", required_unless_present = "weights", conflicts_with = "weights")]
    run: Option<PathBuf>,
    /// Of RUN, the checkpoint with the best accuracy on validation instead of the last weights
    #[arg(long, requires = "run")]
    best: bool,
    /// What `train` wrote, checkpoints included, or torchvision's state dict as safetensors; stem, width and classes come from
    /// there
    #[arg(long, value_name = "FILE.safetensors", help_heading = "Network")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    data: DataFlags,
    /// The network [default: the one that the weights are of]
    #[arg(long, value_name = "NAME", help_heading = "Network")]
    model: Option<String>,
    /// Test-time augmentation: the weighted mean of the logits of six views of each image, as it is, a pixel up and left and a
    /// pixel down and right, each also mirrored [default: as RUN was validated]
    #[arg(long, help_heading = "Validation")]
    tta: bool,
    /// Seed of the images of shapes10 [default: that of RUN, otherwise 0]
    #[arg(long, value_name = "N", help_heading = "Data")]
    seed: Option<u64>,
    #[command(flatten)]
    device: DeviceFlags,
    /// One JSON object on standard output
    #[arg(long, help_heading = "Output")]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let wanted = arguments.model.as_deref().map(models::find).transpose()?;
    // A file outside the folder of a run is one of weights.
    let alone = |path: &&PathBuf| path.is_file() && !arguments.best && resume::find(path).is_err();
    let file = arguments.weights.as_ref().or(arguments.run.as_ref().filter(alone));
    let run = arguments.run.as_ref().filter(|_| file.is_none());
    let of_run = run.map(|run| OfRun::find(run, arguments.best)).transpose()?;
    let of_run = of_run.as_ref();
    let weights = of_run.map(|run| &run.weights).or(file).expect("clap asks for one of them").clone();
    let (model, config) = checkpoint::recognize(&weights)?;
    if let Some(wanted) = wanted.filter(|wanted| wanted.name != model.name) {
        let (expected, found) = (format!("weights of {}", wanted.name), format!("those of {}", model.name));
        return Err(Error::data(&weights, expected, found, "drop 'model'"));
    }
    let elsewhere = arguments.data.data.is_some() || arguments.data.dataset.is_some();
    let data = of_run.filter(|_| !elsewhere).map_or(&arguments.data, |run| &run.data);
    let seed = arguments.seed.or(of_run.map(|run| run.data_seed)).unwrap_or(0);
    let found = || host_data::open(data.dataset.as_deref(), data.data.as_deref(), seed);
    let opened = live::during("opening the images", found)?;
    // With --json, standard output is the object alone.
    opened.notes.iter().for_each(|note| remark(note));
    let dataset = opened.dataset;
    if let Some((run, other)) = of_run.and_then(|run| Some((run, run.other_images(dataset.as_ref())?))) {
        if !elsewhere {
            let hint = "say where its images are, or which others to use, with 'data'";
            return Err(Error::data(&run.folder, "the images of the run", other, hint));
        }
        remark(&other);
    }
    if config.classes as usize != data::CLASSES {
        let found = format!("{} classes", config.classes);
        return Err(Error::data(&weights, format!("a network of {} classes", data::CLASSES), found, ""));
    }
    if dataset.len(Split::Test) == 0 {
        return Err(Error::config("the data set has no test images", "eval needs test_batch.bin"));
    }
    let gpu = open_device(arguments.device.device.as_deref())?;
    let tta = arguments.tta || of_run.is_some_and(|run| run.tta);
    let read = |layout: &_| checkpoint::weights(&weights, layout);
    let ready = || block_on(evaluator(&gpu, dataset.as_ref(), (model, config), BATCH, tta, read));
    let mut network = live::during("preparing the network", ready)?;
    let source = ReadAhead(dataset.clone());
    let mut progress = |done, total| live::show(format!("evaluating: {done} of {total} images"));
    let evaluation = block_on(evaluate(&mut network, &source, BATCH, &mut progress))?.expect("there are test images");
    live::clear();
    if arguments.json {
        json_line(&evaluation);
    } else {
        if of_run.is_some() {
            say!("{}", weights.display());
        }
        say!(
            "{}{}, width {}{}, on {} test images of {}, {}",
            model.name,
            if model.stems { format!(", {} stem", config.stem.name()) } else { String::new() },
            config.width,
            if tta { ", six views" } else { "" },
            dataset.len(Split::Test),
            dataset.spec().name,
            gpu.info.name
        );
        show(&evaluation, &dataset.spec().classes);
    }
    Ok(())
}

fn show(evaluation: &Evaluation, classes: &[String]) {
    let Evaluation { accuracy, loss, f1, precision, recall, confusion } = evaluation;
    say!("accuracy {accuracy:.2} %  loss {loss:.4}  F1 {f1:.4}  precision {precision:.4}  recall {recall:.4}");
    say!("\nconfusion matrix, a row per true class, a column per predicted class:");
    print::table(&confusion::table(confusion, classes));
}
