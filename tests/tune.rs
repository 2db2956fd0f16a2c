//! Choosing the kernel of a matrix product: measured, remembered, recorded, and without effect beyond rounding.

use std::{fs, sync::Arc, time::Duration};

use pollster::block_on;
use velograd::{
    data::{Batch, Image},
    device::Gpu,
    host::identity,
    models::{
        self,
        resnet::{self, Stem},
    },
    optim,
    program::{
        product::{Choice, Gemm, Product},
        target::Target,
    },
    training::{
        network::{Done, Network, Place, Plans, Recipe},
        tune::{Choices, Effort, Measured, measure},
        weights::Weights,
    },
};

use crate::{
    folder::{Folder, records, says},
    support::gpu,
};

fn plans() -> Plans<'static> {
    let config = resnet::config(Stem::Imagenet, 8, 10);
    Plans {
        model: &models::ALL[0],
        config,
        recipe: Recipe::default(),
        train: vec![8],
        evaluate: vec![6],
        target: crate::support::target(),
    }
}

#[test]
fn every_candidate_is_measured_once() {
    let Some(gpu) = gpu() else { return };
    let found = block_on(measure(gpu, &plans(), &Choices::new(), Effort::FULL)).unwrap();
    if found.is_empty() {
        println!("skipped: the device has no timestamps");
        return;
    }
    let products = plans().products();
    assert_eq!(found.len(), products.len());
    for (Measured { product, seconds, whole, .. }, (expected, table)) in found.iter().zip(&products) {
        assert_eq!(product, expected);
        let tried: Vec<_> = seconds.iter().map(|(choice, _)| *choice).collect();
        assert_eq!(tried, gpu.target.candidates(product), "{}", product.name);
        assert_eq!((tried[0], *whole), (*table, true), "{}", product.name);
        assert!(seconds.iter().all(|(_, s)| *s > 0.0 && s.is_finite()), "{}: {seconds:?}", product.name);
    }
    // 20 convolutions and the linear layer have three passes at batch 8, except for the gradient of the images, and one
    // at batch 6.
    let times: u32 = found.iter().map(|m| m.times).sum();
    assert_eq!(times, 3 * 21 - 1 + 21);

    // Without time for more there is one round.
    let begun =
        block_on(measure(gpu, &plans(), &Choices::new(), Effort { budget: Duration::ZERO, ..Effort::FULL })).unwrap();
    for (begun, whole) in begun.iter().zip(&found) {
        assert_eq!((begun.seconds.len(), begun.whole), (1, whole.seconds.len() == 1), "{}", begun.product.name);
    }
    assert!(begun.iter().any(|measured| !measured.whole), "every product has one candidate");

    // Products with known choices are not measured again.
    let known: Choices = products.into_iter().skip(1).map(|(product, choice)| (product.name, choice)).collect();
    let rest = block_on(measure(gpu, &plans(), &known, Effort::FAST)).unwrap();
    assert_eq!(rest.iter().map(|m| &m.product.name).collect::<Vec<_>>(), [&found[0].product.name]);
}

#[test]
fn what_is_not_clearly_faster_does_not_replace_the_table() {
    let product =
        Product { path: "conv2d/forward", name: "a".into(), rows: 64, cols: 64, count: 1, terms: 64, half: false };
    let [first, second, third] = [0, 1, 2].map(|nth| Choice { gemm: Gemm::TILES[nth], parts: 1 });
    let best = |seconds| Measured { product: product.clone(), times: 1, seconds, whole: true }.best().0;
    assert_eq!(best(vec![(first, 1.0)]), first);
    assert_eq!(best(vec![(first, 1.0), (second, 0.98)]), first);
    assert_eq!(best(vec![(first, 1.0), (second, 0.9), (third, 0.8)]), third);
}

/// Sums are split only if there are too few workgroups, and at the extremes the estimate prefers what it should.
#[test]
fn the_table_follows_the_shape() {
    let target = Target { units: 256, ..Target::portable() };
    let product = |rows, cols, count, terms| Product {
        path: "conv2d/forward",
        name: String::new(),
        rows,
        cols,
        count,
        terms,
        half: false,
    };
    // Many large matrices: the largest block, and nothing to split.
    let Choice { gemm, parts } = target.choose(&product(128, 256, 1024, 576));
    assert_eq!((gemm.rows(), gemm.cols(), parts), (128, 128, 1));
    // One deep product of few tiles: workgroups share its sums.
    assert!(target.choose(&product(128, 512, 1, 4608)).parts > 1);
    // A small product is not worth a second dispatch.
    assert_eq!(target.choose(&product(128, 64, 1, 64)).parts, 1);
    // A software device gains nothing from splitting.
    assert!(Target::software(8).candidates(&product(128, 512, 1, 4608)).iter().all(|choice| choice.parts == 1));
}

/// Every form has a name, by which it is found.
#[test]
fn a_form_is_found_by_its_name() {
    for target in [Target::portable(), Target::software(8), Target::software(4)] {
        for &gemm in &target.gemm {
            for parts in Choice::PARTS {
                let choice = Choice { gemm, parts };
                assert_eq!(target.choice(&choice.to_string()), Some(choice));
            }
        }
        assert_eq!(target.choice("gemm_tile 1x1"), None);
    }
}

/// The losses of three updates.
fn losses(gpu: &Gpu, plans: &Plans<'_>) -> Vec<f32> {
    let (optimizer, _) = optim::build("sgd", &[]).unwrap();
    let init = |layout: &_| Ok(Weights::init(layout, 2));
    let mut network = block_on(Network::new(gpu, plans, Some(optimizer), init, 0)).unwrap();
    let place = Place { first: true, last: true, images: 8, epoch: 1, lr: 0.01 };
    let mut done: Vec<Done> = (0..3)
        .flat_map(|_| crate::support::train(&mut network, &Batch::noise(8, Image::CIFAR, 10), place).unwrap())
        .collect();
    done.extend(block_on(network.drain()).unwrap());
    let loss = |done: &Done| if let Done::Updated(report) = done { report.loss } else { f32::NAN };
    done.iter().map(loss).collect()
}

#[test]
fn a_choice_changes_rounding_alone() {
    let Some(gpu) = gpu() else { return };
    let table = losses(gpu, &plans());
    assert_eq!(table.len(), 3);
    // Every core in turn, and every sum in parts, which changes the order of sums.
    let cores = gpu.target.gemm.clone().into_iter().cycle();
    let other: Choices = plans()
        .products()
        .into_iter()
        .zip(cores)
        .map(|((product, _), gemm)| (product.name, Choice { gemm, parts: 2 }))
        .collect();
    let target = Target { tuned: Arc::new(other.clone()), ..gpu.target.clone() };
    let chosen = Plans { target, ..plans() };
    let products = chosen.products().into_iter();
    assert_eq!(products.map(|(product, choice)| (product.name, choice)).collect::<Choices>(), other);
    let tuned = losses(gpu, &chosen);
    for (table, tuned) in table.iter().zip(&tuned) {
        assert!((table - tuned).abs() < 1e-4 * table.abs(), "{table} and {tuned}");
    }
    assert_ne!(tuned, table, "the choices were not looked at");
    assert_eq!(tuned, losses(gpu, &chosen), "the same choices give the same bits");
}

const SMALL: [&str; 9] = ["train", "--data", "set", "--width", "8", "--epochs", "1", "--batch-size", "16"];

/// A run keeps its choices, its recipe has them too, and a continued run uses those that it was started with.
#[test]
fn a_run_keeps_its_choices() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("choices");
    folder.write("set/data_batch_1.bin", &records(48));
    folder.works(&[&SMALL[..], &["--tune", "full", "--out", "first"]].concat());
    let run = |name: &str| -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(folder.0.join(name).join("run.json")).unwrap()).unwrap()
    };
    assert_eq!(run("first")["recipe"]["tune"], "off");

    folder.works(&[&SMALL[..], &["--tune", "off", "--out", "table"]].concat());
    let (name, form) = in_parts();
    folder.works(&[&SMALL[..], &["--choice", &format!("{name}={form}"), "--out", "chosen"]].concat());
    let recipe = fs::read_to_string(folder.0.join("chosen/config.toml")).unwrap();
    let table: toml::Table = recipe.parse().unwrap();
    assert_eq!(table["choice"][name.as_str()].as_str(), Some(form.as_str()));
    assert_eq!(run("chosen")["recipe"]["choice"][name.as_str()], form.as_str());

    folder.works(&["train", "--config", "chosen/config.toml", "--out", "again"]);
    let bytes = |name: &str| fs::read(folder.0.join(name).join("model.safetensors")).unwrap();
    assert!(bytes("chosen") != bytes("table"), "the choice was not looked at");
    assert!(bytes("chosen") == bytes("again"), "two runs with the same choices differ");
    // The rest of a run that is extended uses the same choices.
    says(&folder.works(&["train", "--resume", "chosen", "--extend", "1"]), &["continued from"]);
    let longer = recipe.replace("epochs = 1", "epochs = 2");
    assert_ne!(longer, recipe);
    folder.write("longer.toml", longer.as_bytes());
    folder.works(&["train", "--config", "longer.toml", "--out", "longer"]);
    assert!(bytes("chosen") == bytes("longer"), "the run went on with other choices");

    let foreign = format!("{name}=gemm_of_another_device 7x7");
    let said =
        remarks(&folder, &[&SMALL[..], &["--choice", &foreign, "--max-steps", "1", "--out", "foreign"]].concat());
    says(&said, &["1 products are computed otherwise than given"]);
    assert!(folder.velograd(&[&SMALL[..], &["--choice", "nonsense", "--out", "x"]].concat()).status.code() == Some(2));
    // A product that the network does not have is refused if it was typed, and passed over if a recipe of another
    // network has it.
    let unknown = format!("{}0={form}", &name[..name.len() - 1]);
    let said = folder.refused(2, &[&SMALL[..], &["--choice", &unknown, "--out", "x"]].concat());
    says(&said, &["--choice", "the network has no such product", "did you mean `", "there are", &name]);
    folder.works(&["train", "--config", "chosen/config.toml", "--width", "4", "--max-steps", "1", "--out", "narrow"]);
}

/// An experiment continues with the choices in its folder, whatever has become of the remembered ones since.
#[test]
fn an_experiment_goes_on_as_it_was_begun() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("experiment-choices");
    folder.write("set/data_batch_1.bin", &records(32));
    let compare = |more: &[&str]| {
        let all = ["compare", "--data", "set", "--width", "8", "--batch-size", "16", "--epochs", "1"];
        [&all[..], &["--optimizers", "sgd"], more].concat().iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()
    };
    let works = |more: &[&str]| {
        let words = compare(more);
        folder.works(&words.iter().map(String::as_str).collect::<Vec<_>>());
    };
    let (name, form) = in_parts();
    let choice = format!("{name}={form}");
    works(&["--choice", &choice, "--seeds", "2", "--out", "whole"]);
    works(&["--choice", &choice, "--seeds", "1", "--out", "apart"]);
    works(&["--seeds", "2", "--out", "apart"]);
    works(&["--tune", "off", "--seeds", "2", "--out", "table"]);
    let second = |out: &str| fs::read(folder.0.join(out).join("runs/sgd/seed-1/model.safetensors")).unwrap();
    assert!(second("whole") == second("apart"), "the second run has other choices than the first");
    assert!(second("whole") != second("table"), "the choice was not looked at");
    let another = compare(&["--choice", &format!("{name}=another"), "--seeds", "2", "--out", "apart"]);
    let said = folder.refused(2, &another.iter().map(String::as_str).collect::<Vec<_>>());
    says(&said, &["begun with another recipe", &format!("--choice {name}: there {form}, here another")]);
}

/// A product of [`SMALL`], and a form that is not the table's, with another order of sums.
fn in_parts() -> (String, String) {
    let products = Plans { train: vec![16], evaluate: vec![], ..plans() }.products();
    let deep = |(product, choice): &(Product, Choice)| product.terms >= 64 && choice.parts == 1;
    let (product, choice) = products.into_iter().find(deep).expect("the filters of the last stages are deep");
    (product.name, Choice { parts: 2, ..choice }.to_string())
}

/// What a command that succeeds prints to standard error.
fn remarks(folder: &Folder, arguments: &[&str]) -> String {
    let output = folder.velograd(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

/// Measurements are kept, used, and replaced if they are damaged.
#[test]
fn what_was_measured_is_remembered() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("tuning-memory");
    let model = ["--width", "8", "--batch-size", "8"];
    let said = folder.works(&[&["tune"], &model[..]].concat());
    says(&said, &["conv2d/backward_weight", "the table's", "chosen", "GFLOP/s", "tuned "]);
    let kept = || {
        let files = fs::read_dir(folder.0.join("cache")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|e| e == "json")).collect::<Vec<_>>()
    };
    let [path] = &kept()[..] else { panic!("{:?}", kept()) };
    let whole = fs::read_to_string(path).unwrap();
    says(&whole, &["conv2d/forward 8x"]);

    let bench = [&["bench", "--tune", "fast", "--steps", "1"], &model[..]].concat();
    assert!(!remarks(&folder, &bench).contains("tuned "), "all of it was known");
    for damage in ["", "{", "[1]", "{\"conv2d/forward\": 3}", "{\"a\": \"b\"}"] {
        fs::write(path, damage).unwrap();
        says(&remarks(&folder, &bench), &["tuned "]);
    }
    // Measurements of other kernels say nothing about these.
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(name.contains(identity::KERNELS), "{name}");
    fs::write(path.with_file_name(name.replace(identity::KERNELS, "0123456789ab")), &whole).unwrap();
    fs::remove_file(path).unwrap();
    says(&remarks(&folder, &bench), &["tuned "]);
    let json = folder.works(&[&["tune", "--json"], &model[..]].concat());
    let rows: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.iter().any(|row| row["chosen"] == true) && rows.iter().all(|row| row["ms"].is_f64()));
}
