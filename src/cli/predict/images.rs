//! The classes of pictures with their probabilities.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use pollster::block_on;
use serde_json::json;

use super::Arguments;
use crate::{
    cli::{
        json_line, live,
        normalization::{stated, without_images},
        open_device,
        print::{self, explain, remark, say},
    },
    data::{Image, MOST_SIDE},
    error::{Error, Result},
    host::{
        data::pictures::{USUAL_SIDE, loose},
        files::write_atomically,
        pretrained::{Head, Pretrained},
    },
    lab::predictions::{Columns, Csv, Prediction},
    models::Config,
    training::{Origin, network::Recipe, predict::Predictor},
};

/// The likeliest classes that are shown.
const TOP: usize = 5;

/// The most images in a batch.
const BATCH: usize = 32;

pub(super) fn run(
    arguments: &Arguments,
    named: &[PathBuf],
    path: &Path,
    tta_of_run: bool,
    weights: &Pretrained,
) -> Result<ExitCode> {
    let flags = &arguments.of_images;
    let top = flags.top.unwrap_or(TOP);
    if top == 0 {
        return Err(Error::setting("top", 0, "at least 1"));
    }
    let tta = flags.tta || tta_of_run;
    if let Some(folder) = flags.csv.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty())
        && !folder.is_dir()
    {
        return Err(Error::data(folder, "a folder to write the table to", "no such folder", ""));
    }
    let pictures = list(named)?;
    let (config, image) = shape(flags.image_size, weights)?;
    let (normalize, origin) = without_images(flags.normalize, weights)?;
    let lines = stated(normalize, origin, Some(weights));
    if origin == Origin::Weights {
        explain(lines)
    } else {
        lines.iter().for_each(|line| remark(line))
    }
    let classes = classes(weights);
    let gpu = open_device(arguments.device.device.as_deref())?;
    let recipe = Recipe { tta, normalize: Some(normalize), ..Recipe::default() };
    let load = |layout: &_| weights.weights(layout, Head::Load, 0);
    let batch = pictures.len().min(BATCH) as u32;
    let ready = || block_on(Predictor::new(&gpu, (weights.model, &config), batch, recipe, load));
    let mut network = live::during("preparing the network", ready)?;
    let views = if tta { ", six views" } else { "" };
    remark(&format!(
        "{}{views}, of {}, on {}",
        weights.model.words(weights.model.name, &config),
        path.display(),
        gpu.info.name
    ));

    let names: Vec<String> = pictures.iter().map(|picture| picture.display().to_string()).collect();
    let shows = flags.csv.is_none() && !arguments.json;
    let columns = Columns::new(names.iter().map(String::as_str), &classes, print::width());
    if shows {
        say!("{}", columns.header());
    }
    let mut table = flags.csv.as_ref().map(|_| Csv::new(&classes));
    let (mut objects, mut done, mut failed) = (vec![], 0, 0);
    for (paths, names) in pictures.chunks(network.batch()).zip(names.chunks(network.batch())) {
        live::show(format!("predicting: {done} of {} images", pictures.len()));
        for prediction in predict(&mut network, paths, names, image)? {
            match &prediction.outcome {
                Ok(_) if shows => {
                    let likely = prediction.likeliest(&classes, top);
                    columns.lines(&prediction.file, &likely).iter().for_each(|line| say!("{line}"));
                }
                Ok(_) => {}
                Err(error) => {
                    failed += 1;
                    print::error(error);
                }
            }
            table.iter_mut().for_each(|table| table.add(&prediction));
            if arguments.json {
                objects.push(serde_json::to_value(prediction.said(&classes, top)).expect("it has names and numbers"));
            }
        }
        done += paths.len();
    }
    live::clear();
    if let (Some(file), Some(table)) = (&flags.csv, table) {
        write_atomically(file, &table.finish())?;
        remark(&format!("wrote the probabilities of {} images to {}", pictures.len() - failed, file.display()));
    }
    if arguments.json {
        json_line(
            &json!({ "model": weights.model.name, "weights": path.display().to_string(), "normalize": normalize, "images": objects }),
        );
    }
    if failed > 0 {
        remark(&format!("{failed} of {} images could not be predicted", pictures.len()));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// The pictures that are named, with those in folders.
fn list(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let (mut pictures, mut left_out) = (vec![], 0);
    for path in named {
        let found = loose::find(path)?;
        pictures.extend(found.pictures);
        left_out += found.left_out;
    }
    loose::left_out(left_out).iter().for_each(|note| remark(note));
    Ok(pictures)
}

/// The network for the size that pictures are brought to: the one that is asked for, or that the weights were trained on, or the
/// usual one if the file does not say it and the network can have it.
fn shape(asked: Option<u32>, weights: &Pretrained) -> Result<(Config, Image)> {
    let own = &weights.config;
    let square = |side| Image { height: side, width: side, ..own.image() };
    let config = match asked {
        Some(side) if !(1..=MOST_SIDE).contains(&side) => {
            return Err(Error::setting("image_size", side, format!("from 1 to {MOST_SIDE}")));
        }
        Some(side) => weights.config_on(square(side)).map_err(|_| {
            let message = format!("'image_size' is {side}, and the weights are of a network for {}", own.input);
            Error::about("image_size", message, "leave it out")
        })?,
        None if weights.provenance.is_some() => own.clone(),
        None => {
            let config = weights.config_on(square(USUAL_SIDE)).unwrap_or_else(|_| own.clone());
            let Image { width, height, .. } = config.image();
            remark(&format!(
                "the weights do not say what size images have: {width}x{height} assumed; --image-size sets it"
            ));
            config
        }
    };
    let image = config.image();
    Ok((config, image))
}

/// The names of the classes, or else their numbers.
fn classes(weights: &Pretrained) -> Vec<String> {
    match weights.provenance.as_ref().map(|provenance| &provenance.dataset.classes) {
        Some(names) if !names.is_empty() => names.clone(),
        _ => {
            remark("the weights do not name their classes: they are numbered from 0");
            (0..weights.config.classes).map(|class| class.to_string()).collect()
        }
    }
}

/// What the network says of the pictures of a batch, of which some may be damaged.
fn predict(network: &mut Predictor, paths: &[PathBuf], names: &[String], image: Image) -> Result<Vec<Prediction>> {
    let (mut images, mut outcomes) = (vec![], vec![]);
    for read in loose::read_all(paths, image) {
        outcomes.push(read.map(|planes| images.push(planes)).map_err(|error| error.to_string()));
    }
    let mut said = match images.len() {
        0 => vec![],
        _ => block_on(network.probabilities(&images))?,
    }
    .into_iter();
    let outcome = |(outcome, name): (std::result::Result<(), String>, &String)| {
        let outcome = outcome.and_then(|()| {
            let probabilities = said.next().expect("a row for each image");
            let finite = probabilities.iter().all(|probability| probability.is_finite());
            finite.then_some(probabilities).ok_or_else(|| format!("{name}: the network's logits are not finite"))
        });
        Prediction { file: name.clone(), outcome }
    };
    Ok(outcomes.into_iter().zip(names).map(outcome).collect())
}
