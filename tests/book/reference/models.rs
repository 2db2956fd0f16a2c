use std::fmt::Write as _;

use velograd::{
    data::CLASSES,
    models::{self, Config, Stem},
    program::target::Target,
    training::network::{Plans, Recipe},
};

use super::{plain, table};

/// The widths whose networks are counted: those of the presets and the published one.
const WIDTHS: [u32; 3] = [8, 16, 64];

/// Every network with its sizes.
pub fn page() -> String {
    let mut out = "# Models\n\n\
        `--model` names the network and `--width` the channels of its first stage. Images have 32 x 32 pixels in three colours, and there are \
        ten classes. GFLOP are those of the matrix products in an update of 128 images.\n"
        .to_owned();
    for model in models::ALL {
        write!(out, "\n## {}\n\n", model.name).unwrap();
        let by = model.normalize;
        let stems: &[Stem] = if model.stems { &[Stem::Imagenet, Stem::Cifar] } else { &[Stem::Cifar] };
        writeln!(
            out,
            "- Images are normalized by {} unless `--normalize` says otherwise (means / standard deviations).",
            plain(&by.to_string())
        )
        .unwrap();
        let [first, last] = model.known_by;
        writeln!(out, "- A file of weights is recognized by `{first}` and `{last}`: {}.", plain(model.shapes)).unwrap();
        writeln!(out, "- `--init-head skip` leaves out `{}*`.\n", model.head()).unwrap();
        let rows = stems.iter().flat_map(|&stem| WIDTHS.map(|width| (stem, width))).map(|(stem, width)| {
            let config = resnet::config(stem, width, CLASSES as u32);
            let plans = Plans {
                model,
                config,
                recipe: Recipe::default(),
                target: Target::portable(),
                train: vec![],
                evaluate: vec![],
            };
            let recording = plans.record(128, true);
            let flop: f64 = recording.calls.iter().map(|call| call.flop).sum();
            let name = if model.stems { format!("`{}`", stem.name()) } else { "-".into() };
            vec![name, width.to_string(), recording.layout.elements().to_string(), format!("{:.2}", flop / 1e9)]
        });
        let header = ["stem", "width", "parameters", "GFLOP"];
        out.push_str(&table(&header, rows));
    }
    out
}
