//! Training on random parts of pictures.

use std::sync::Arc;

use velograd::{
    data::Dataset,
    host::data::Pictures,
    training::{After, Options, Remainder, network::Recipe},
};

use super::{compare_on, options};
use crate::{folder::Folder, no_gpu::folder_of_images::png_of, support::gpu};

/// The parts are functions of seed, epoch and picture, also of a batch that is carried over: a run that is interrupted after any update has
/// the bits of one that is not, and another seed has others.
#[test]
fn parts_of_pictures_go_on_where_they_were() {
    let Some(gpu) = gpu() else { return };
    let folder = Folder::new("resume-parts");
    for i in 0..40u32 {
        let [width, height] = [50 + i % 9, 40 + i % 7];
        let pixels: Vec<u8> = (0..3 * width * height).map(|at| (at * (i + 5) / 11 % 251) as u8).collect();
        folder.write(
            &format!("{}/{}/{i:02}.png", if i < 32 { "train" } else { "val" }, i % 2),
            &png_of(width, height, &pixels),
        );
    }
    let data: Arc<dyn Dataset> = Arc::new(Pictures::open(&folder.0, 32).unwrap());
    let options = options("sgd", &[("momentum", "0.9")]);
    let recipe = Recipe { augment: "imagenet".parse().unwrap(), ..options.recipe };
    let config = velograd::models::Config { classes: 2, ..options.config.clone() };
    let options =
        Options { config, recipe, batch: 6, epochs: 2, remainder: Remainder::Carry, early_stop: None, ..options };
    let run = |options: &Options| {
        let mut seen = std::collections::HashSet::new();
        compare_on(gpu, &data, options, |at| at.after == After::Update && seen.insert(at.updates))
    };
    let plain = Recipe { augment: "flip".parse().unwrap(), ..recipe };
    assert!(run(&options).weights != run(&Options { recipe: plain, ..options.clone() }).weights, "no parts were cut");
}
