//! Experiments from the command line: several runs in one folder, and rules without a network.

use pollster::block_on;
use std::fs;

use velograd::host::identity;

use crate::{
    folder::{Folder, records, says},
    support::gpu,
};

/// Several runs in one folder: one that has ended is not run again, other settings are refused, and a run that diverges
/// is a row.
#[test]
fn compare_and_sweep() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("compare");
    folder.write("data_batch_1.bin", &records(60));
    folder.write("test_batch.bin", &records(20));
    let common = ["--data", ".", "--width", "4", "--batch-size", "16", "--target", "5"];
    let compare =
        [&["compare"], &common[..], &["--out", "cmp", "--epochs", "6", "--optimizers", "velograd,sgd"]].concat();
    let said = folder.works(&[&compare[..], &["--seeds", "2", "--set", "sgd:lr=1e30"]].concat());
    says(&said, &["optimizer", "epochs to 5 %", "seed 0 diverged at step", "no paired t-test", "table.md"]);
    let files = "table.md table.csv table.json curves.svg curves.png report.html experiment.json";
    for file in files.split(' ').chain(["runs/velograd/seed-1/model.safetensors"]) {
        assert!(folder.0.join("cmp").join(file).is_file(), "{file}");
    }
    let csv = fs::read_to_string(folder.0.join("cmp/table.csv")).unwrap();
    assert_eq!(csv.lines().count(), 5);
    let again = folder.works(&[&compare[..], &["--seeds", "2", "--set", "sgd:lr=1e30"]].concat());
    assert_eq!(again.matches("ended before").count(), 4);
    assert_eq!(csv, fs::read_to_string(folder.0.join("cmp/table.csv")).unwrap());
    says(
        &folder.refused(2, &[&compare[..], &["--set", "sgd:lr=1"]].concat()),
        &["other settings", "lr: there 1e+30, here 1.0"],
    );
    let other = ["compare", "--data", ".", "--width", "8", "--out", "cmp"];
    says(&folder.refused(2, &other), &["another recipe"]);

    let bad = |arguments: &[&str]| folder.refused(2, &[&["compare", "--out", "no"], arguments].concat());
    says(&bad(&["--optimizers", "velograd,adan2"]), &["did you mean `adan`"]);
    says(&bad(&["--optimizers", "sgd,sgd"]), &["there twice"]);
    says(&bad(&["--set", "muon:lr=1"]), &["`muon` is not compared"]);
    says(&bad(&["--set", "lr=1"]), &["NAME:KEY=VALUE"]);
    says(&bad(&["--optimizers", "sgd", "--set", "sgd:betas=1", "--data", "."]), &["no setting `betas`"]);
    says(&bad(&["--seeds", "0"]), &["--seeds"]);

    let sweep =
        [&["sweep"], &common[..], &["--epochs", "1", "--out", "sweep", "--optimizers", "sgd", "--seeds", "1"]].concat();
    let said = folder.works(&[&sweep[..], &["--lr", "1e-3:1e30:log2"]].concat());
    says(&said, &["lr 0.001", "lr 1e30", "diverged", "sgd: best at lr 0.001 with", "1 of 2 rates", "sweep.svg"]);
    for file in ["table.csv", "sweep.svg", "sweep.png", "report.html"] {
        assert!(folder.0.join("sweep").join(file).is_file(), "{file}");
    }
    says(&folder.refused(2, &[&sweep[..], &["--lr", "fast"]].concat()), &["no list of rates"]);
}

/// Runs of two builds cannot be compared: an experiment that was started with other kernels is refused, and both builds
/// are named.
#[test]
fn another_build_is_refused() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("other-build");
    folder.write("data_batch_1.bin", &records(20));
    let compare = ["compare", "--data", ".", "--width", "4", "--batch-size", "16", "--max-steps", "1", "--seeds", "1"];
    let compare = [&compare[..], &["--optimizers", "sgd", "--out", "cmp"]].concat();
    folder.works(&compare);
    let path = folder.0.join("cmp/experiment.json");
    let mut file: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(file["build"], identity::build());
    let page = fs::read_to_string(folder.0.join("cmp/report.html")).unwrap();
    says(&page, &[&format!("velograd {}", identity::TEXT)]);
    // Another commit with the same kernels is accepted.
    file["build"]["commit"] = "abcdefabcdef".into();
    fs::write(&path, file.to_string()).unwrap();
    says(&folder.works(&compare), &["ended before"]);
    file["build"]["kernels"] = "0123456789ab".into();
    fs::write(&path, file.to_string()).unwrap();
    let parts = ["other kernels", "commit abcdefabcdef, kernels 0123456789ab", identity::TEXT, "another --out"];
    says(&folder.refused(2, &compare), &parts);
}

/// The same optimizer has the same settings wherever it is compared: those of the VeloGrad paper, unless the defaults
/// are asked for. A line states them before anything runs, and the page has all of them.
#[test]
fn a_name_has_the_same_settings_everywhere() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("settings");
    folder.write("data_batch_1.bin", &records(20));
    let small = ["--data", ".", "--width", "4", "--batch-size", "16", "--max-steps", "1", "--seeds", "1"];
    let run = |command: &str, more: &[&str], out: &str| {
        folder.works(&[&[command], &small[..], more, &["--out", out]].concat())
    };
    let settings = |path: &str| -> serde_json::Value {
        let text = fs::read(folder.0.join(path).join("seed-0/run.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&text).unwrap()["settings"].take()
    };
    let paper = "sgd: lr=0.01, momentum=0.9, weight_decay=1e-4 (as in the VeloGrad paper)";
    let said = run("compare", &[], "all");
    says(&said, &["velograd: lr=0.0015 (as in the VeloGrad paper)", "adam: lr=0.001, weight_decay=1e-4 (as", paper]);
    let said = run("compare", &["--optimizers", "adam,sgd,lion"], "some");
    says(&said, &[paper, "lion: lr=1e-4 (the rule's defaults)", "--settings default compares every rule"]);
    assert!(said.find(paper) < said.find("adam, seed 0"), "the settings come first: {said}");
    for name in ["adam", "sgd"] {
        assert_eq!(settings(&format!("all/runs/{name}")), settings(&format!("some/runs/{name}")), "{name}");
    }
    let sgd = settings("all/runs/sgd");
    assert_eq!([&sgd["lr"], &sgd["momentum"], &sgd["weight_decay"]], [0.01, 0.9, 1e-4]);
    let said = run("sweep", &["--optimizers", "sgd", "--lr", "0.01,0.1"], "sweep");
    says(&said, &["sgd: lr=0.01,0.1, momentum=0.9, weight_decay=1e-4 (as in the VeloGrad paper)"]);
    assert_eq!(settings("sweep/runs/sgd_lr=0.01"), sgd);
    run("ablate", &[], "ablate");
    assert_eq!(settings("ablate/runs/velograd"), settings("all/runs/velograd"));

    let more = ["--optimizers", "adam,sgd", "--settings", "default", "--set", "sgd:lr=0.5"];
    says(&run("compare", &more, "default"), &["adam: lr=0.001 (the rule's defaults)", "sgd: lr=0.5 (as set)"]);
    assert_eq!(settings("default/runs/adam")["weight_decay"], 0.0);
    assert_eq!(settings("default/runs/sgd")["momentum"], 0.0);
    let said = run("compare", &["--optimizers", "sgd", "--set", "sgd:momentum=0.5"], "set");
    says(&said, &["sgd: lr=0.01, momentum=0.5, weight_decay=1e-4 (as in the VeloGrad paper, but for what was set)"]);
    let page = fs::read_to_string(folder.0.join("set/report.html")).unwrap();
    says(&page, &["<b>sgd</b>", "momentum=0.5", "weight_decay=0.0001", "nesterov=false"]);
    let refused = [&["compare"], &small[..], &["--settings", "papers", "--out", "x"]].concat();
    says(&folder.refused(2, &refused), &["did you mean `paper`"]);
}

/// `--quick` as a newcomer types it, cut short: its data set, its sizes, and a page with figures at the end.
#[test]
fn quick_experiments() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("quick");
    for (command, runs, figure) in [("compare", 6, "curves"), ("sweep", 24, "sweep"), ("ablate", 18, "ablation")] {
        folder.works(&[command, "--quick", "--max-steps", "2", "--val-split", "64", "--out", command]);
        let read = |name: &str| fs::read_to_string(folder.0.join(command).join(name)).unwrap();
        says(&read("experiment.json"), &["shapes10", "\"width\": 8", "\"batch-size\": 64"]);
        if command == "compare" {
            let own = ["optimizers = [\"velograd\", \"adam\", \"sgd\"]", "settings = \"paper\""];
            says(&read("config.toml"), &own);
        }
        says(&read("config.toml"), &[&format!("command = \"{command}\""), "width = 8", "seeds = 2"]);
        assert_eq!(read("table.csv").lines().count(), 1 + runs, "{command}");
        assert!(read(&format!("{figure}.svg")).contains("velograd"), "{command}");
        says(&read("report.html"), &["<svg", "Recipe", "Device and data"]);
    }
}

/// VeloGrad is compared with each mechanism off; with all of them off it is Adam, update by update.
#[test]
fn ablation() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("ablate");
    folder.write("data_batch_1.bin", &records(48));
    folder.write("test_batch.bin", &records(20));
    let ablate = ["ablate", "--data", ".", "--width", "4", "--batch-size", "16", "--epochs", "2", "--seeds", "2"];
    let said = folder.works(&[&ablate[..], &["--out", "a"]].concat());
    says(&said, &["without sim against velograd", "over 8 tests", "without all, no decay", "ablation.svg"]);
    let losses = |label: &str| -> Vec<f64> {
        let path = folder.0.join("a/runs").join(label).join("seed-0/steps.jsonl");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["loss"].as_f64().unwrap()).collect()
    };
    // The two rules differ only in rounding, which a few updates do not amplify.
    let (without, adam) = (losses("without_all__no_decay"), losses("adam__same_rate_and_betas__no_decay"));
    let whole = losses("velograd");
    assert!(without.iter().zip(&adam).all(|(a, b)| (a - b).abs() < 1e-3 * a), "{without:?} {adam:?}");
    assert!(whole.iter().zip(&adam).any(|(a, b)| (a - b).abs() > 1e-2 * a), "{whole:?} {adam:?}");
}

/// A spike moves SGD in proportion to its size, and hardly moves rules that divide by it. The variance of SGD's update
/// is that of the gradient, which falls as the batch grows; that of Lion, which uses only signs, does not fall as fast.
#[test]
fn probes() {
    let Some(gpu) = gpu() else { return };
    let spike = |name: &str, size: f64| block_on(velograd::lab::probe::spike(gpu, name, &[], size, 0)).unwrap();
    let (small, large) = (spike("sgd", 100.0), spike("sgd", 1000.0));
    assert!((large / small - 10.0).abs() < 0.01, "{small} {large}");
    // The spike's own part is at most (1-beta1)/(beta1 sqrt(1-beta2)) = 3.5; the momentum from before it is added.
    assert!(spike("mvngrad", 1e4) < 3.5 + 1.2, "{}", spike("mvngrad", 1e4));

    let folder = Folder::new("probe");
    let quick = ["--quick", "--optimizers", "sgd,lion", "--out", "p"];
    folder.works(&[&["probe", "spike"], &quick[..]].concat());
    folder.works(&[&["probe", "variance", "--dataset", "shapes10", "--max-steps", "2"], &quick[..]].concat());
    for file in ["spike.csv", "spike.svg", "spike.png", "variance.csv", "variance.svg", "variance.png"] {
        assert!(folder.0.join("p").join(file).is_file(), "{file}");
    }
    let csv = fs::read_to_string(folder.0.join("p/variance.csv")).unwrap();
    let value = |start: &str| -> f64 {
        let line = csv.lines().find(|l| l.starts_with(start)).unwrap_or_else(|| panic!("{start} in {csv}"));
        line.rsplit(',').next().unwrap().parse().unwrap()
    };
    // 8 times as many images have an eighth of the variance, up to the spread of 16 draws over correlated coordinates.
    let fall = value("sgd,16,") / value("sgd,128,");
    assert!((4.0..16.0).contains(&fall), "{fall}\n{csv}");
    assert!(value("lion,16,") / value("lion,128,") < 4.0, "{csv}");
    let refused = |arguments: &[&str]| folder.refused(2, &[&["probe"], arguments].concat());
    says(&refused(&["spike", "--optimizers", "sgdd"]), &["did you mean `sgd`"]);
    says(&refused(&["spike", "--optimizers", "sgd", "--set", "adam:lr=1"]), &["not probed"]);
    says(&refused(&["spike", "--optimizers", "sgd", "--set", "sgd:lr=0"]), &["above 0"]);
    says(&refused(&["variance", "--width", "0"]), &["width=0", "from 1 to 1024"]);
    says(&refused(&["variance", "--quick", "--dataset", "shapes10", "--batch-size", "0"]), &["--batch-size"]);
}

/// A comparison of text has columns for the validation loss and its bits per character, and none for F1, precision and recall; it is
/// ranked by the loss, and so are the rates of a sweep. An epoch and the end of a run say the same numbers.
#[test]
fn a_comparison_of_text_has_its_columns() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("compare-text");
    let flags = "compare --dataset grammar --model gpt --model-set block=16 --model-set width=16 --model-set depth=1 \
                 --model-set heads=2 --quick --epochs 1 --max-steps 2 --seeds 1 --optimizers adamw,sgd -b 4";
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let said = folder.works(&[&flags[..], &["--out", "out"]].concat());
    says(&said, &["best mean validation loss is that of", "no paired t-test"]);
    assert!(
        said.lines().filter(|line| line.contains("epoch  1/1")).all(|line| line.contains("  bits per character ")),
        "{said}"
    );
    says(&said, &["optimizer  seeds  training loss  validation loss  bits per character  accuracy %  loss variance"]);
    assert!(!said.contains("weighted F1"), "{said}");
    let table = fs::read_to_string(folder.0.join("out/table.csv")).unwrap();
    let mut lines = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let at = |key: &str| header.iter().position(|name| *name == key).unwrap();
    for line in lines {
        let [loss, bits] = ["val_loss", "bits_per_character"].map(|key| line[at(key)].parse::<f64>().unwrap());
        assert!((bits * std::f64::consts::LN_2 / loss - 1.0).abs() < 1e-6, "{loss}, {bits}");
    }
    let figure = fs::read_to_string(folder.0.join("out/report.html")).unwrap();
    says(&figure, &["Validation loss", "Bits per character", "saw the blocks in the same order", "nats per character"]);
    assert!(!figure.contains("Weighted F1") && !figure.contains("Validation accuracy"));

    let sweep = [&["sweep"], &flags[1..], &["--lr", "1e-3,1e-2", "--out", "sweep"]].concat();
    let said = folder.works(&sweep);
    says(&said, &["rates within 0.05 nats", "with loss ", ", bits per character ", "on validation; "]);
    let page = fs::read_to_string(folder.0.join("sweep/report.html")).unwrap();
    says(&page, &["<h2>Validation loss</h2>"]);
    assert!(!page.contains("ccuracy"), "{page}");
}

/// The last table has the top-5 accuracy of the run's file where there are more than ten classes.
#[test]
fn many_classes_have_a_top_five() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("top-five");
    for class in 0..11u8 {
        for (split, i) in [("train", 0), ("val", 1)] {
            let picture = crate::no_gpu::folder_of_images::png(32, 32, [class * 20, 9 * i, 100]);
            folder.write(&format!("set/{split}/{class:02}/{i}.png"), &picture);
        }
    }
    let flags = "train --data set --image-size 32 --quick --width 4 -b 11 --epochs 1 --selftest off --out run";
    let said = folder.works(&flags.split_whitespace().collect::<Vec<_>>());
    says(&said, &["training loss  accuracy  top-5 "]);
    let rows = fs::read_to_string(folder.0.join("run/metrics.jsonl")).unwrap();
    let row: serde_json::Value = serde_json::from_str(rows.lines().last().unwrap()).unwrap();
    let [accuracy, top] = ["val_acc", "val_top5"].map(|key| format!("{:.2} %", row[key].as_f64().unwrap()));
    let table = said.lines().skip_while(|line| !line.contains("top-5")).collect::<String>();
    assert!(table.contains(&format!("{accuracy}  ")) && table.contains(&top), "{accuracy}, {top}: {table}");
}
