//! Networks of every model, for images of any size and with settings at the edges of their ranges: each is recorded, or refused
//! with a hint before a program is recorded.

use std::collections::BTreeSet;

use velograd::{
    data::{Image, Input, Tokens},
    device::runtime::planned_bytes,
    error::Error,
    models::{self, Config, MOST_FLOATS, Model, Takes},
    optim,
    program::{plan::Plan, target::Target},
    settings::{Bound, Kind, Setting},
    training::network::{Plans, Recipe},
};

type Set = Vec<(String, String)>;

/// A setting at the ends of its range, or at each of its words.
fn ends(Setting { key, kind, .. }: &Setting) -> Set {
    let values: Vec<String> = match kind {
        Kind::Flag { .. } => vec!["true".into(), "false".into()],
        Kind::Choice { words } => words.clone(),
        Kind::Number { range, .. } | Kind::Whole { range, .. } => {
            let end = |bound: Option<Bound>, inwards: f64| match bound {
                Some(Bound::Included(value)) => value.to_string(),
                Some(Bound::Excluded(value)) => (value + inwards).to_string(),
                None => panic!("{key} has no end"),
            };
            vec![end(range.low, 1e-3), end(range.high, -1e-3)]
        }
    };
    values.into_iter().map(|value| (key.clone(), value)).collect()
}

/// The defaults, each setting alone at each of its ends, and all together at their first and at their last.
fn sets(model: &Model) -> Vec<Set> {
    let all: Vec<Set> = (model.settings)().iter().map(ends).collect();
    let together = |end: fn(&Set) -> Option<&(String, String)>| all.iter().filter_map(end).cloned().collect();
    let mut sets = vec![vec![], together(|ends| ends.first()), together(|ends| ends.last())];
    sets.extend(all.iter().flatten().map(|one| vec![one.clone()]));
    sets
}

/// Bytes that a network needs on the device to train on `n` images at once.
fn bytes(model: &'static Model, config: &Config, n: u32) -> u64 {
    let (recipe, target) = (Recipe::default(), Target::portable());
    let plans = Plans { model, config: config.clone(), recipe, target, train: vec![n], evaluate: vec![n.div_ceil(2)] };
    let (rule, _) = optim::build("adam", &[]).unwrap();
    let (recordings, _) = plans.programs(Some(rule.as_ref())).numbered();
    planned_bytes(&recordings, &Plan::new(&recordings, true))
}

/// Samples of many sizes, with numbers of classes.
fn samples(takes: Takes, nth: usize) -> Vec<(Input, u32)> {
    let sides = [(1, 1), (1, 40), (2, 3), (5, 7), (6, 6), (7, 8), (13, 9), (28, 28), (31, 33), (32, 32), (33, 64)];
    let image = |(at, (height, width)): (usize, (u32, u32))| {
        let image = Image { channels: [1, 3][(nth + at) % 2], height, width };
        (image.into(), [2, 10, 1000][(nth + at) % 3])
    };
    let tokens = |(length, vocabulary)| (Tokens { length, vocabulary }.into(), vocabulary);
    match takes {
        Takes::Images => sides.into_iter().enumerate().map(image).collect(),
        Takes::Tokens => [(1, 2), (5, 65), (64, 300), (65_536, 5), (65_536, 65_536)].map(tokens).into(),
    }
}

#[test]
fn any_network_is_recorded_or_refused() {
    let (mut recorded, mut refused) = (0, 0);
    for model in models::ALL {
        for (nth, set) in sets(model).into_iter().enumerate() {
            for (input, classes) in samples(model.takes, nth) {
                match model.config(input, classes, &set) {
                    Ok(config) => {
                        let [one, three] = [1, 3].map(|n| bytes(model, &config, n));
                        assert!(one < three, "{} {set:?} {input}: {one} bytes, {three} for three samples", model.name);
                        recorded += 1;
                    }
                    Err(Error::Config { message, hint, .. }) => {
                        assert!(!message.is_empty() && !hint.is_empty(), "{} {set:?} {input}: {message}", model.name);
                        refused += 1;
                    }
                    Err(other) => panic!("{} {set:?} {input}: {other}", model.name),
                }
            }
        }
    }
    println!("{recorded} recorded, {refused} refused");
    assert!(recorded > 400 && refused > 200, "{recorded} recorded, {refused} refused");
}

/// The smallest images that each network takes, and the largest networks, from both sides of the edge.
#[test]
fn the_edges_are_where_they_are_said_to_be() {
    let edge = |name: &str, set: &[(&str, &str)], side: u32, classes: u32| {
        let set: Set = set.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        models::find(name).unwrap().config(Image { channels: 3, height: side, width: side }, classes, &set)
    };
    for (name, set, least) in [
        ("vgg11", &[][..], 32),
        ("vgg19", &[("batchnorm", "true")], 32),
        ("cnn", &[("preset", "mnist")], 6),
        ("cnn", &[("preset", "vradam")], 8),
    ] {
        assert!(edge(name, set, least, 10).is_ok(), "{name} {set:?}: {least} pixels");
        let error = edge(name, set, least - 1, 10).unwrap_err().to_string();
        assert!(error.contains(&least.to_string()), "{name} {set:?}: {error}");
    }
    // A matrix [width, width] for each of 64 layers.
    let deep = |width: &str| edge("mlp", &[("width", width), ("depth", "64")], 1, 1);
    let count = |width: u64| 4 * width + 63 * width * (width + 1) + width + 1;
    let fits = (1..65_536).take_while(|&width| count(width) <= MOST_FLOATS).last().unwrap();
    assert_eq!(deep(&fits.to_string()).map(|config| config.settings.whole("width")).unwrap(), fits as u32);
    let error = deep(&(fits + 1).to_string()).unwrap_err().to_string();
    assert!(error.contains(&format!("{} parameters", count(fits + 1))), "{error}");
    assert!(error.contains(&MOST_FLOATS.to_string()), "{error}");
    assert!(edge("vgg16", &[("hidden", "65536")], 32, 65_536).is_err());
}

/// At the largest batch no count of bytes has wrapped around: half as many images need about half as many.
#[test]
fn the_largest_batch_is_counted() {
    let mut compared = BTreeSet::new();
    for model in models::ALL {
        for set in sets(model) {
            let images = [32, 1024].map(|side| (Image { channels: 3, height: side, width: side }.into(), 10));
            let samples = if model.takes == Takes::Images { images.into() } else { samples(model.takes, 0) };
            for (input, classes) in samples {
                let Ok(config) = model.config(input, classes, &set) else { continue };
                let n = model.largest_batch(&config);
                assert!(n > 0, "{} {set:?} {input}", model.name);
                if n < 8 {
                    continue;
                }
                compared.insert(model.name);
                let [none, half, whole] = [1, n / 2, n].map(|n| bytes(model, &config, n));
                let each = |more: u64, images: u32| more as f64 / f64::from(images);
                let (first, second) = (each(half - none, n / 2 - 1), each(whole - half, n - n / 2));
                let linear = (first - second).abs() < first / 5.0;
                assert!(linear, "{} {set:?} {input}, {n}: {none}, {half}, {whole}", model.name);
            }
        }
    }
    assert_eq!(compared.len(), models::ALL.len(), "{compared:?}");
    let largest = |name: &str, set: &[(&str, &str)], image| {
        let model = models::find(name).unwrap();
        let set: Set = set.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        model.largest_batch(&model.config(image, 10, &set).unwrap())
    };
    // 64 channels for every pixel, for every fourth, and for all but the rim of two.
    assert_eq!(largest("resnet18", &[("stem", "cifar")], Image::CIFAR), (MOST_FLOATS / (64 * 32 * 32)) as u32);
    assert_eq!(largest("resnet18", &[("stem", "imagenet")], Image::CIFAR), (MOST_FLOATS / (64 * 16 * 16)) as u32);
    assert_eq!(largest("cnn", &[], Image::MNIST), (MOST_FLOATS / (64 * 24 * 24)) as u32);
    assert_eq!(largest("mlp", &[], Image::MNIST), 65_536);
}
