//! Networks, batches and data sets of any size that the flags allow: there is an update or two, or an error before the
//! first.

use std::{fs, sync::Arc};

use pollster::block_on;
use velograd::{
    data::{Dataset, Holdout, Shapes10, Sizes},
    device::Gpu,
    error::{Error, Result},
    models::resnet::{self, Stem},
    ops::{Augment, Normalize},
    optim::{self, Clip, Lookahead},
    program::{params::NoDecay, target::Precision},
    random::Rng,
    training::{OnNan, Options, Remainder, StepRow, Watch, network::Recipe, schedule::Schedule, weights::Weights},
};

use crate::{
    folder::{Folder, says},
    no_gpu::folder_of_images::png,
    support::gpu,
};

#[derive(Default)]
struct Count(u64);

impl Watch for Count {
    fn step(&mut self, row: &StepRow, _: u64, _: u64, _: u64) -> Result<()> {
        self.0 += 1;
        assert!(row.skipped || row.loss.is_finite());
        Ok(())
    }
}

/// Mostly a small number, sometimes one at or beyond an edge.
fn number(rng: &mut Rng, usual: u32, edges: &[u32]) -> u32 {
    if rng.below(24) == 0 { edges[rng.below(edges.len() as u32) as usize] } else { 1 + rng.below(usual) }
}

fn share(rng: &mut Rng) -> f32 {
    if rng.below(24) == 0 {
        [1.0, -0.1, f32::NAN][rng.below(3) as usize]
    } else {
        [0.0, 0.3, 0.999][rng.below(3) as usize]
    }
}

/// Random options, in mixed precision too if the device supports it (`mixed`).
fn options(rng: &mut Rng, mixed: bool) -> Options {
    let one_of = |rng: &mut Rng, list: &[&'static str]| list[rng.below(list.len() as u32) as usize];
    let optimizer = optim::ALL[rng.below(optim::ALL.len() as u32) as usize].name.as_str();
    let schedule = one_of(rng, &["constant", "cosine", "linear:end=0", "step:every=1,gamma=0.1", "triangle:peak=0.5"]);
    let lookahead: Option<Lookahead> = (rng.below(4) == 0).then(|| "2,0.5".parse().unwrap());
    let limit = |rng: &mut Rng| match rng.below(24) {
        0 => Some([0.0, f32::INFINITY, -1.0][rng.below(3) as usize]),
        at => [None, Some(1.0), Some(1e-30)][at as usize % 3],
    };
    let mut options = Options {
        model: match rng.below(20) {
            0 => "resnet19".into(),
            1..=5 => "airbench94".into(),
            _ => "resnet18".into(),
        },
        config: resnet::config(if rng.below(2) == 0 { Stem::Imagenet } else { Stem::Cifar }, number(rng, 9, &[33]), 10),
        optimizer: optimizer.into(),
        set: vec![],
        lookahead,
        epochs: number(rng, 2, &[0]),
        max_steps: Some(2),
        batch: number(rng, 20, &[0, 65, 65_537, u32::MAX]),
        accumulate: number(rng, 3, &[0, 100, u32::MAX]),
        remainder: [Remainder::Step, Remainder::Step, Remainder::Drop, Remainder::Carry][rng.below(4) as usize],
        recipe: Recipe {
            normalize: None,
            augment: [Augment::NONE, Augment::PAPER, Augment::AIRBENCH][rng.below(3) as usize],
            tta: rng.below(2) == 0,
            accumulates: false,
            mixup: 0.0,
            smoothing: share(rng),
            dropout: share(rng),
            clip: Clip { norm: limit(rng), value: limit(rng) },
            no_decay: if rng.below(2) == 0 { NoDecay::default() } else { "norm,bias".parse().unwrap() },
            keep_gradients: rng.below(4) == 0,
            precision: if mixed && rng.below(2) == 0 { Precision::Mixed } else { Precision::F32 },
        },
        schedule: Schedule::parse(schedule, u64::from(rng.below(3))).unwrap_or(Schedule::CONSTANT),
        validate_every: number(rng, 3, &[0]),
        early_stop: if rng.below(24) == 0 { Some(0) } else { [None, Some(1)][rng.below(2) as usize] },
        on_nan: if rng.below(2) == 0 { OnNan::Skip } else { OnNan::Stop },
        shuffle: rng.below(2) == 0,
        seed: rng.u64(),
    };
    options.recipe.normalize = match rng.below(24) {
        0 => Some(Normalize { std: [0.0, f64::NAN, 1e300], ..Normalize::HALF }),
        at => [None, Some(Normalize::IMAGENET)][at as usize % 2],
    };
    options.recipe.mixup = match rng.below(24) {
        0 => [-1.0, 1e-9, f64::NAN][rng.below(3) as usize],
        at => [0.0, 0.2, 1000.0][at as usize % 3],
    };
    if rng.below(4) == 0 {
        options.recipe.augment.jitter = "jitter:1:1:1:0.5".parse::<Augment>().unwrap().jitter;
    }
    options
}

/// Trains a network on a data set of these sizes for up to two updates; returns their number.
fn train(gpu: &Gpu, options: &Options, train: usize, test: usize, held_out: Option<usize>) -> Result<u64> {
    let mut dataset: Arc<dyn Dataset> = Arc::new(Shapes10::new(1, Sizes { train, test })?);
    if let Some(count) = held_out {
        dataset = Arc::new(Holdout::new(dataset, count, 1)?);
    }
    let init = |layout: &_| Ok(Weights::init(layout, 1));
    let mut trainer = crate::support::trainer(gpu, dataset, options.clone(), init)?;
    let mut count = Count::default();
    block_on(trainer.run(&mut count))?;
    Ok(count.0)
}

#[test]
fn any_size_trains_or_is_refused() {
    let Some(gpu) = gpu() else { return };
    let mut rng = Rng::new(2026);
    let (mut trained, mut refused) = (0, 0);
    for nth in 0..50 {
        let options = options(&mut rng, gpu.features.f16);
        let (images, test) = (number(&mut rng, 40, &[0, 1, 97]) as usize, rng.below(12) as usize);
        let held_out = (rng.below(5) == 0).then(|| rng.below(12) as usize);
        match train(gpu, &options, images, test, held_out) {
            Ok(updates) => {
                assert!((1..=2).contains(&updates), "{nth}: {updates} updates of {options:?}");
                trained += 1;
            }
            Err(Error::Config { message, hint, .. }) => {
                assert!(!message.is_empty() && !message.contains("panic"), "{message}");
                assert!(!hint.is_empty(), "{nth}: {message}: no hint");
                refused += 1;
            }
            Err(Error::Device { message, .. }) => {
                assert!(
                    options.config.settings.whole("width") >= 33 || options.batch >= 65,
                    "{nth}: {message}: {options:?}"
                );
                refused += 1;
            }
            Err(other) => panic!("{nth}: {other}: {options:?}"),
        }
    }
    println!("{trained} trained, {refused} refused");
    assert!(trained > 15 && refused > 10, "{trained} trained, {refused} refused");
}

/// Weights say to what size they want pictures brought, unless a flag says it.
#[test]
fn pictures_get_the_size_of_the_weights() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("sizes-pictures");
    for (i, place) in ["train/cat", "train/dog", "val/dog"].into_iter().enumerate() {
        folder.write(&format!("pets/{place}/a.png"), &png(20, 15, [90 * i as u8; 3]));
    }
    let train = |out: &str, more: &[&str]| {
        let common = ["train", "--data", "pets", "--batch-size", "2", "--max-steps", "1", "--out", out];
        folder.works(&[&common, more].concat());
        let run = fs::read_to_string(folder.0.join(out).join("run.json")).unwrap();
        let run: serde_json::Value = serde_json::from_str(&run).unwrap();
        assert_eq!(run["recipe"]["image-size"], run["image"]["width"]);
        run["image"]["width"].as_u64().unwrap()
    };
    assert_eq!(train("small", &["--image-size", "12", "--model", "mlp", "--model-set", "width=8"]), 12);
    let weights = "small/model.safetensors";
    assert_eq!(train("further", &["--init", weights, "--model", "mlp", "--model-set", "width=8"]), 12);
    says(&folder.works(&["eval", "--weights", weights, "--data", "pets"]), &["on 1 test images of folder"]);
    let said = folder.refused(
        2,
        &[
            "train",
            "--data",
            "pets",
            "--init",
            weights,
            "--model",
            "mlp",
            "--model-set",
            "width=8",
            "--image-size",
            "16",
        ],
    );
    says(&said, &["the weights are of a network for", "the images are"]);
}

/// Where the device has no room for the usual batch, an evaluation takes a smaller one.
#[test]
fn large_pictures_are_evaluated_in_batches_that_fit() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("sizes-large");
    for place in ["train/cat", "train/dog"] {
        folder.write(&format!("pets/{place}/a.png"), &png(20, 15, [90; 3]));
    }
    for i in 0..12 {
        folder.write(&format!("pets/val/dog/{i}.png"), &png(20, 15, [i; 3]));
    }
    let data = ["--data", "pets", "--image-size", "1024"];
    let train =
        ["train", "--model", "mlp", "--model-set", "width=4", "--batch-size", "2", "--max-steps", "1", "--out", "run"];
    folder.works(&[&train[..], &data].concat());
    let evaluated = folder.works(&[&["eval", "--weights", "run/model.safetensors"][..], &data].concat());
    says(&evaluated, &["on 12 test images of folder"]);
}
