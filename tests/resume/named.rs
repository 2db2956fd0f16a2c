use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

use super::run::{Left, equal, files, killed, left, place, said, same};
use crate::{
    folder::{Folder, records, says},
    support::gpu,
};

/// Runs the program in a folder within `folder`.
fn at(folder: &Folder, within: &str, arguments: &[&str]) -> Output {
    let place = folder.0.join(within);
    fs::create_dir_all(&place).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_velograd"));
    command.args(arguments).env("VELOGRAD_CACHE", folder.0.join("cache")).current_dir(place).output().unwrap()
}

fn works_at(folder: &Folder, within: &str, arguments: &[&str]) -> String {
    let output = at(folder, within, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

fn read(run: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(run.join("run.json")).unwrap()).unwrap()
}

/// A run that was started with the images in `data` can be continued from any folder, whatever `data` holds there;
/// images that have been moved must be named.
#[test]
fn a_run_knows_its_images() {
    if gpu().is_none() {
        return;
    }
    let folder = place("images");
    // RECIPE names the images by a relative path.
    killed(&folder, 3);
    folder.write("elsewhere/data/data_batch_1.bin", &records(40));
    says(&works_at(&folder, "elsewhere", &["train", "--resume", "../run"]), &["continued from"]);
    same(&folder.0.join("run"), "from another folder");

    // The images were found, not named, and another set has since been put in front of them.
    fs::create_dir(folder.0.join("data")).unwrap();
    fs::rename(folder.0.join("set"), folder.0.join("data/cifar-10-batches-bin")).unwrap();
    let train = ["train", "--width", "4", "-b", "16", "--quick", "--epochs", "2", "--max-steps", "4", "--out", "found"];
    folder.works(&train);
    let dataset = read(&folder.0.join("found"))["dataset"].clone();
    let path = Path::new(dataset["path"].as_str().unwrap());
    assert!(path.is_absolute() && path.to_str().unwrap().contains("/data"), "{dataset}");
    let again = ["train", "--resume", "found", "--max-steps", "8"];
    fs::rename(folder.0.join("data"), folder.0.join("moved")).unwrap();
    let output = folder.velograd(&again);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let crc = dataset["crc32"].as_str().unwrap();
    says(&said(&output), &["cifar10 with the checksum", crc, "velograd train --resume found --data PATH"]);
    folder.write("data/cifar-10-batches-bin/data_batch_1.bin", &records(40));
    says(&folder.refused(2, &again), &["other images", "data set, crc32: there", crc, "--data PATH"]);
    says(
        &folder.refused(2, &[&again[..], &["--dataset", "shapes10"]].concat()),
        &["--dataset: there cifar10, here shapes10"],
    );
    let said = folder.works(&[&again[..], &["--data", "moved"]].concat());
    says(&said, &["continued from"]);
    let kept = read(&folder.0.join("found"));
    assert!(kept["dataset"]["path"].as_str().unwrap().contains("moved"), "{}", kept["dataset"]);
    says(&fs::read_to_string(folder.0.join("found/config.toml")).unwrap(), &["moved", "max-steps = 8"]);
}

/// Drawn images are drawn again from their seed, even if CIFAR-10 has been put into `data` since.
#[test]
fn drawn_images_are_drawn_again() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("drawn");
    let train =
        ["train", "--width", "2", "-b", "16", "--quick", "--seed", "7", "--val-split", "9900", "--max-steps", "2"];
    folder.works(&[&train[..], &["--out", "run"]].concat());
    folder.write("data/cifar-10-batches-bin/data_batch_1.bin", &records(40));
    says(&folder.works(&["train", "--resume", "run", "--max-steps", "4"]), &["continued from"]);
    assert_eq!(read(&folder.0.join("run"))["dataset"]["name"], "shapes10");
}

/// `--resume` with `latest`, a folder of runs, and the folder of checkpoints.
#[test]
fn the_newest_run_is_found() {
    if gpu().is_none() {
        return;
    }
    let folder = place("newest");
    let train = ["train", "--data", "set", "--width", "4", "-b", "16", "--quick", "--max-steps", "1"];
    says(&folder.refused(1, &["train", "--resume", "latest"]), &["runs", "no run.json"]);
    folder.works(&[&train[..], &["--optimizer", "sgd"]].concat());
    folder.works(&[&train[..], &["--optimizer", "adam"]].concat());
    let said = folder.works(&["train", "--resume", "latest"]);
    says(&said, &["the newest run of latest is runs/", "-adam has ended", "1 update;"]);
    let said = folder.works(&["train", "--resume", "runs", "--max-steps", "2"]);
    says(&said, &["-adam", "continued from", "step 2"]);
    let sgd = files(&folder.0.join("runs")).find(|name| name.ends_with("-sgd")).unwrap();
    let checkpoints = format!("runs/{sgd}/checkpoints");
    says(&folder.works(&["train", "--resume", &checkpoints, "--extend", "1"]), &["continued from"]);
    says(&folder.works(&["train", "--resume", "latest"]), &["-sgd has ended", "2 epochs"]);
}

/// A named checkpoint is used: newer ones are set aside, the logs are cut back, and the run has the same result.
#[test]
fn from_a_checkpoint_that_is_named() {
    if gpu().is_none() {
        return;
    }
    let folder = place("checkpoint");
    let run = folder.0.join("run");
    folder.works(&[&["train", "--out", "run", "--keep", "9"], &super::run::recipe()[..]].concat());
    same(&run, "undisturbed");
    let list = |ending: &str| files(&run.join("checkpoints")).filter(|name| name.ends_with(ending)).count();
    let all = list(".safetensors");
    let file = "run/checkpoints/step-000000004.safetensors";
    let said = folder.works(&["train", "--resume", file]);
    says(
        &said,
        &[
            "set aside",
            "step-000000012.undone",
            "the logs are cut back to update 4 and 1 whole epochs",
            "continued from",
            file,
        ],
    );
    same(&run, "from update 4 again");
    assert_eq!(
        (list(".safetensors"), list(".undone")),
        (all, all - 2),
        "steps 2 and 4 stayed, and the rest was made again"
    );
    // A copy elsewhere belongs to no run; a damaged checkpoint that is named is not passed over.
    fs::copy(folder.0.join(file), folder.0.join("copy.safetensors")).unwrap();
    says(&folder.refused(1, &["train", "--resume", "copy.safetensors"]), &["in the folder of its run", "--init"]);
    fs::write(folder.0.join(file), b"{}").unwrap();
    says(&folder.refused(1, &["train", "--resume", file]), &[file]);
    same(&run, "after refusals");
}

/// Older runs, whose recipe is a TOML text without settings that are off by default, can be continued.
#[test]
fn a_run_of_before_goes_on() {
    if gpu().is_none() {
        return;
    }
    let folder = place("before");
    killed(&folder, 3);
    let path = folder.0.join("run/run.json");
    let mut run = read(&folder.0.join("run"));
    let text = format!(
        "accumulate = 2\naugment = \"paper\"\nbatch-size = 16\ncheckpoint-every = \"2steps\"\ndata = \"{}\"\ndropout = 0.1\n\
         early-stop = 9\nepochs = 4\nlabel-smoothing = 0.1\nmodel = \"resnet18\"\noptimizer = \"velograd\"\npreset = \"quick\"\n\
         schedule = \"cosine\"\nseed = 3\nshuffle = \"on\"\nstem = \"imagenet\"\ntune = \"off\"\nval-split = 16\nwarmup = 2\nwidth = 4\n",
        folder.0.join("set").display()
    );
    let fields = run.as_object_mut().unwrap();
    fields.remove("recipe");
    fields.insert("config".into(), json!(text));
    for key in ["path", "seed"] {
        fields["dataset"].as_object_mut().unwrap().remove(key);
    }
    fs::write(&path, serde_json::to_string_pretty(&run).unwrap()).unwrap();
    fs::remove_file(folder.0.join("run/config.toml")).unwrap();
    says(&folder.refused(2, &["train", "--resume", "run", "--clip-norm", "1"]), &["--clip-norm: there none, here 1.0"]);
    says(&folder.works(&["train", "--resume", "run"]), &["continued from"]);
    same(&folder.0.join("run"), "a run of before");
    let now = read(&folder.0.join("run"));
    assert!(now["recipe"]["model-set"]["width"] == 4 && now.get("config").is_none(), "{now}");
}

/// A run that `--max-steps` ended in the middle of an epoch, extended by epochs or by updates, is the run that it would
/// have been.
#[test]
fn longer_after_max_steps() {
    if gpu().is_none() {
        return;
    }
    let folder = place("longer");
    folder.write("set/test_batch.bin", &records(20));
    let recipe = "train --data set --width 4 -b 16 --quick --seed 5 --optimizer adam --augment paper --dropout 0.1 --early-stop 3";
    let train = |out: &str, length: &[&str]| -> Left {
        let recipe: Vec<_> = recipe.split(' ').chain(["--out", out]).chain(length.iter().copied()).collect();
        folder.works(&recipe);
        left(&folder.0.join(out))
    };
    // An epoch has seven updates: the second is cut short after three.
    train("run", &["--max-steps", "10", "--epochs", "8"]);
    let eleven = train("eleven", &["--max-steps", "11", "--epochs", "8"]);
    let twelve = train("twelve", &["--max-steps", "12", "--epochs", "8"]);
    let whole = train("whole", &["--epochs", "3"]);

    let resume = |more: &[&str]| folder.works(&[&["train", "--resume", "run"], more].concat());
    says(&resume(&[]), &["has ended", "2 epochs, 10 updates"]);
    says(&folder.refused(2, &["train", "--resume", "run", "--max-steps", "9"]), &["--max-steps: there 10, here 9"]);
    let both = ["train", "--resume", "run", "--max-steps", "12", "--extend", "1"];
    says(&folder.refused(2, &both), &["--extend and a larger --max-steps", "drop one of them"]);
    says(&resume(&["--max-steps", "11"]), &["10 updates, 1 whole epochs"]);
    equal(&folder.0.join("run"), &eleven, "eleven updates");
    resume(&["--max-steps", "12"]);
    equal(&folder.0.join("run"), &twelve, "twelve updates");
    // The epoch that was cut short is the second of two; one more makes three.
    resume(&["--extend", "1"]);
    equal(&folder.0.join("run"), &whole, "three epochs");
    assert!(read(&folder.0.join("run"))["max_steps"].is_null());

    // The longer run is killed before its first checkpoint: its run.json is written, and its logs may or may not be cut
    // back.
    train("killed", &["--max-steps", "10", "--epochs", "8"]);
    let run = folder.0.join("killed");
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let of = |name: &str| fs::read(run.join(name)).unwrap();
    let (steps, checkpoint) = (of("steps.jsonl"), of("checkpoints/step-000000010.safetensors"));
    folder.works(&["train", "--resume", "killed", "--max-steps", "12"]);
    let mut longer = read(&run);
    longer["result"].take();
    for rows in [1, 2] {
        folder.write("killed/run.json", longer.to_string().as_bytes());
        folder.write("killed/steps.jsonl", &steps);
        let kept: Vec<&str> = metrics.lines().take(rows).collect();
        folder.write("killed/metrics.jsonl", (kept.join("\n") + "\n").as_bytes());
        fs::remove_dir_all(run.join("checkpoints")).unwrap();
        folder.write("killed/checkpoints/step-000000010.safetensors", &checkpoint);
        let said = folder.works(&["train", "--resume", "killed"]);
        says(&said, &["step-000000010.safetensors: 10 updates, 1 whole epochs"]);
        equal(&run, &twelve, &format!("killed with {rows} rows"));
    }
    says(&folder.refused(2, &["train", "--resume", "run", "--max-steps", "99"]), &["--max-steps: there none, here 99"]);
}

/// A remark says if a stretched schedule makes the learning rate jump, and if a warm-up is longer than the run.
#[test]
fn what_becomes_of_the_rate_is_said() {
    if gpu().is_none() {
        return;
    }
    let folder = place("rate");
    let train = ["train", "--data", "set", "--width", "4", "-b", "16", "--quick", "--epochs", "1", "--lr", "0.5"];
    let said = folder.works(&[&train[..], &["--schedule", "cosine", "--warmup", "2", "--out", "run"]].concat());
    assert!(!said.contains("warm-up"), "{said}");
    let said = folder.works(&["train", "--resume", "run", "--extend", "1"]);
    let line = said.lines().find(|line| line.contains("the schedule is stretched over 14 updates")).expect(&said);
    // Of five updates after the warm-up, the last has 0.5 (1 + cos(0.8 pi))/2; of twelve, the sixth has 0.5 (1 +
    // cos(5/12 pi))/2.
    let rate = |share: f64| 0.25 * (1.0 + (std::f64::consts::PI * share).cos());
    says(line, &[&format!("{:.3e} at update 7", rate(0.8)), &format!("{:.3e} at the next", rate(5.0 / 12.0))]);
    let steps = fs::read_to_string(folder.0.join("run/steps.jsonl")).unwrap();
    let lr =
        |nth: usize| serde_json::from_str::<Value>(steps.lines().nth(nth).unwrap()).unwrap()["lr"].as_f64().unwrap();
    assert!((lr(6) - rate(0.8)).abs() < 1e-9 && (lr(7) - rate(5.0 / 12.0)).abs() < 1e-9, "{} {}", lr(6), lr(7));

    let said = folder.works(&[&train[..], &["--warmup", "70", "--out", "a"]].concat());
    says(&said, &["the warm-up of 70 updates is not shorter than the run of 7", "only to 10 % of its height"]);
    let said = folder.works(&[&train[..], &["--warmup", "7", "--out", "b"]].concat());
    says(&said, &["the warm-up of 7 updates is not shorter than the run of 7", "with the last update alone"]);
    let compare = ["compare", "--data", "set", "--width", "4", "-b", "16", "--quick", "--epochs", "1", "--warmup", "7"];
    let said = folder.works(&[&compare[..], &["--optimizers", "sgd", "--seeds", "1", "--out", "c"]].concat());
    assert_eq!(said.matches("is not shorter than").count(), 1, "{said}");
    let free = [&train[..], &["--optimizer", "schedulefree", "--set", "warmup_steps=7", "--out", "d"]].concat();
    says(&folder.works(&free), &["the warm-up of 7 updates (warmup_steps) is not shorter"]);
}

/// `eval` of a run uses its weights, its images and its way of validating.
#[test]
fn a_run_is_evaluated() {
    if gpu().is_none() {
        return;
    }
    let folder = place("evaluated");
    folder.write("set/test_batch.bin", &records(30));
    let train =
        ["train", "--data", "set", "--width", "4", "-b", "16", "--quick", "--epochs", "3", "--tta", "--keep", "1"];
    folder.works(&[&train[..], &["--out", "run"]].concat());
    let metrics = left(&folder.0.join("run")).metrics;
    let best = metrics.iter().map(|row| row["val_acc"].as_f64().unwrap()).fold(0.0, f64::max);
    folder.write("other/data/data_batch_1.bin", &records(50));
    let json = |arguments: &[&str]| -> Value {
        let output = at(&folder, "other", &[&["eval", "--json"], arguments].concat());
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_str(&String::from_utf8(output.stdout).unwrap()).unwrap()
    };
    assert_eq!(json(&["../run"])["accuracy"], metrics[2]["val_acc"]);
    assert_eq!(json(&["../run", "--best"])["accuracy"].as_f64(), Some(best));
    let checkpoint = "../run/checkpoints/step-000000021.safetensors";
    assert_eq!(json(&[checkpoint])["accuracy"], metrics[2]["val_acc"]);
    // A file of weights alone knows nothing of a run: it is evaluated without test-time augmentation, on images that
    // are named.
    fs::copy(folder.0.join("run/model.safetensors"), folder.0.join("other/w.safetensors")).unwrap();
    let alone = works_at(&folder, "other", &["eval", "w.safetensors", "--data", "../set"]);
    assert!(alone.contains("width 4, on 30 test images"), "{alone}");
    says(
        &works_at(&folder, "other", &["eval", "../run"]),
        &["run/model.safetensors", "six views, on 30 test images of cifar10"],
    );
    // Other images are refused, unless they are asked for.
    fs::write(folder.0.join("set/test_batch.bin"), records(31)).unwrap();
    let output = at(&folder, "other", &["eval", "../run"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    says(&said(&output), &["the images of the run", "--data"]);
    says(
        &works_at(&folder, "other", &["eval", "../run", "--data", "../set"]),
        &["the run was made with", "31 test images"],
    );
    let output = at(&folder, "other", &["eval"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    fs::remove_dir_all(folder.0.join("run/checkpoints")).unwrap();
    let output = at(&folder, "other", &["eval", "../run", "--best"]);
    says(&said(&output), &["without --best the last weights are taken"]);
}
