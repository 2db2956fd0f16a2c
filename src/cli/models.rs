//! `velograd models`: lists the networks.

use clap::Args;
use serde_json::json;

use super::{
    json_line,
    print::say,
    settings::{self, wrap},
};
use crate::{
    error::Result,
    models::{self, Config, Model, Preset, Takes},
    training::provenance::stated,
};

#[derive(Args)]
pub(super) struct Arguments {
    /// The networks to show with settings and shapes [default: a line for each]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// A JSON array on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let named = arguments.names.iter().map(|name| models::find(name)).collect::<Result<Vec<_>>>()?;
    let listed = if named.is_empty() { models::ALL.iter().collect() } else { named };
    if arguments.json {
        let rows: Vec<_> = listed.into_iter().map(of_model).collect::<Result<_>>()?;
        json_line(&rows);
    } else if arguments.names.is_empty() {
        for takes in [Takes::Images, Takes::Tokens] {
            let of_these: Vec<_> = listed.iter().filter(|model| model.takes == takes).collect();
            let Some(first) = of_these.first() else { continue };
            say!("networks for {}:\n", words(&first.usual(&[])?));
            for model in of_these {
                let parameters = model.layout(&model.usual(&[])?).elements();
                wrap(&format!("{:<11} {parameters:>10}  ", model.name), model.about);
            }
            say!("");
        }
        say!("velograd models NAME shows settings and shapes, velograd train --model NAME trains one");
    } else {
        for model in listed {
            show(model)?;
        }
    }
    Ok(())
}

/// What a network is shown for.
fn words(Config { input, classes, .. }: &Config) -> String {
    match input.image() {
        Some(_) => format!("{}, {classes} classes", input.words()),
        None => input.words(),
    }
}

/// Prints a model with its settings, and the shape of every parameter.
fn show(model: &Model) -> Result<()> {
    wrap(&format!("{}: ", model.name), model.about);
    let list = (model.settings)();
    say!("\nsettings (--model-set KEY=VALUE), with their defaults:");
    settings::show(&list);
    if !model.presets.is_empty() {
        say!("\nsizes (--model-set preset=NAME), each short for settings:");
        for Preset { name, set } in model.presets {
            let set: Vec<_> = set.iter().map(|(key, value)| format!("{key}={value}")).collect();
            wrap(&format!("  {name:<16}"), &set.join(" "));
        }
    }
    let config = model.usual(&[])?;
    let layout = model.layout(&config);
    say!("\n{} parameters for {}:", layout.elements(), words(&config));
    for segment in &layout.params {
        say!("  {:<40} {:?}", segment.name, segment.shape.dims());
    }
    if model.takes == Takes::Images {
        say!("\nimages are normalized by {} unless --normalize says otherwise", model.normalize);
    }
    Ok(())
}

fn of_model(model: &Model) -> Result<serde_json::Value> {
    let config = model.usual(&[])?;
    let layout = model.layout(&config);
    let shapes: serde_json::Map<_, _> =
        layout.params.iter().map(|segment| (segment.name.clone(), json!(segment.shape.dims()))).collect();
    let preset = |name: &str| Ok((name.to_owned(), model.parse(&[("preset".into(), name.into())])?.to_json()));
    let presets: serde_json::Map<_, _> = model.presets.iter().map(|p| preset(p.name)).collect::<Result<_>>()?;
    let (input, size) = stated(config.input);
    let normalize = config.input.image().map(|_| model.normalize);
    Ok(json!({
        "name": model.name,
        "about": model.about,
        "settings": config.settings.to_json(),
        "ranges": settings::ranges(&(model.settings)()),
        "presets": presets,
        (input): size,
        "classes": config.classes,
        "parameters": layout.elements(),
        "shapes": shapes,
        "normalize": normalize,
    }))
}
