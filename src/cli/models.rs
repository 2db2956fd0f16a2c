//! `velograd models`: lists the networks.

use clap::Args;
use serde_json::json;

use super::{
    json_line,
    print::say,
    settings::{self, wrap},
};
use crate::{
    data::Image,
    error::Result,
    models::{self, Config, Model},
};

/// The classes of the networks whose sizes are shown: as many as those of CIFAR-10.
const CLASSES: u32 = 10;

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
        say!("networks for images of {}, {CLASSES} classes:\n", Image::CIFAR);
        for model in listed {
            let parameters = model.layout(&usual(model)?).elements();
            wrap(&format!("{:<11} {parameters:>10}  ", model.name), model.about);
        }
        say!("\nvelograd models NAME shows settings and shapes, velograd train --model NAME trains one");
    } else {
        for model in listed {
            show(model)?;
        }
    }
    Ok(())
}

/// The network with its default settings.
fn usual(model: &Model) -> Result<Config> {
    model.config(Image::CIFAR, CLASSES, &[])
}

/// Prints a model with its settings, and the shape of every parameter.
fn show(model: &Model) -> Result<()> {
    wrap(&format!("{}: ", model.name), model.about);
    let list = (model.settings)();
    say!("\nsettings (--model-set KEY=VALUE), with their defaults:");
    settings::show(&list);
    let config = usual(model)?;
    let Config { image, classes, .. } = &config;
    let layout = model.layout(&config);
    say!("\n{} parameters for images of {image}, {classes} classes:", layout.elements());
    for segment in &layout.params {
        say!("  {:<40} {:?}", segment.name, segment.shape.dims());
    }
    say!("\nimages are normalized by {} unless --normalize says otherwise", model.normalize);
    Ok(())
}

fn of_model(model: &Model) -> Result<serde_json::Value> {
    let config = usual(model)?;
    let layout = model.layout(&config);
    let shapes: serde_json::Map<_, _> =
        layout.params.iter().map(|segment| (segment.name.clone(), json!(segment.shape.dims()))).collect();
    Ok(json!({
        "name": model.name,
        "about": model.about,
        "settings": config.settings.to_json(),
        "ranges": settings::ranges(&(model.settings)()),
        "image": config.image,
        "classes": config.classes,
        "parameters": layout.elements(),
        "shapes": shapes,
        "normalize": model.normalize,
    }))
}
