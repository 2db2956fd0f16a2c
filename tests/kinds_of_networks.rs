//! Networks of other kinds than ResNet-18 through the program: trained, resumed, evaluated, exported, and started from weights.

use std::fs;

use serde_json::Value;

use crate::{
    folder::{Folder, idx, records},
    support::gpu,
};

/// A run of each kind of network: it trains, is resumed, evaluated and exported, from images of its own size.
#[test]
fn networks_train_resume_and_are_evaluated() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("networks");
    folder.write("set/data_batch_1.bin", &records(40));
    folder.write("set/test_batch.bin", &records(20));
    for (part, count) in [("train", 40), ("t10k", 20)] {
        folder.write(&format!("idx/{part}-images-idx3-ubyte"), &idx(&[count, 28, 28]));
        folder.write(&format!("idx/{part}-labels-idx1-ubyte"), &idx(&[count]));
    }
    for (name, data, set) in [
        ("mlp", "idx", &["width=16"][..]),
        ("cnn", "idx", &["width=4", "feature_dropout=0.1"]),
        ("cnn", "set", &["preset=vradam", "width=4"]),
        ("vgg11", "set", &["width=4", "hidden=16"]),
        ("resnet50", "idx", &["width=4", "stem=cifar", "zero_init=true"]),
    ] {
        let run = format!("{name}-{data}");
        let set: Vec<&str> = set.iter().flat_map(|pair| ["--model-set", pair]).collect();
        let train =
            ["train", "--data", data, "--model", name, "--preset", "quick", "--dropout", "0.2", "--selftest", "off"];
        let more = ["--batch-size", "16", "--epochs", "1", "--optimizer", "adamw", "--out", &run];
        folder.works(&[&train[..], &set, &more].concat());
        folder.works(&["train", "--resume", &run, "--extend", "1", "--selftest", "off"]);
        let said = folder.works(&["eval", &run]);
        assert!(said.contains(&format!("{name}, ")) && said.contains("on 20 test images"), "{said}");
        // The settings come from the file, whose shapes tell them, and from its metadata.
        let weights = format!("{run}/model.safetensors");
        let json: Value =
            serde_json::from_str(&folder.works(&["eval", "--weights", &weights, "--data", data, "--json"])).unwrap();
        assert_eq!(json["model"], *name, "{json}");
        let onnx = format!("{run}.onnx");
        let said = folder.works(&["export", &run, "--onnx", &onnx]);
        let size = if data == "idx" { "images [batch, 1, 28, 28]" } else { "images [batch, 3, 32, 32]" };
        assert!(said.contains(size), "{said}");
        let next = format!("{run}-init");
        folder.works(
            &[&train[..], &set, &["--batch-size", "16", "--max-steps", "1", "--init", &weights, "--out", &next]]
                .concat(),
        );
    }
}

/// A language model: trained on text, resumed, evaluated, compared, and started from weights, with blocks of the length that its
/// settings say.
#[test]
fn a_language_model_trains_resumes_and_is_evaluated() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("language");
    let text = "the cat sat on the mat. the dog sat on the log.\n".repeat(30);
    folder.write("input.txt", text.as_bytes());
    // Heads and GELU's form show in no tensor's shape: they have to come from the file's metadata.
    let set = ["block=16", "width=32", "depth=2", "heads=4", "activation=gelu_tanh", "bias=false"];
    let set: Vec<&str> = set.iter().flat_map(|pair| ["--model-set", pair]).collect();
    let data = ["--data", "input.txt", "--model", "gpt"];
    let rest = ["--batch-size", "8", "--optimizer", "adamw", "--set", "lr=0.003", "--dropout", "0.1"];
    let train = [&["train"][..], &data, &set, &rest].concat();
    let said = folder.works(&[&train[..], &["--epochs", "3", "--log", "tensorboard", "--out", "run"]].concat());
    assert!(said.contains("bits per character") && said.contains("tokens/s") && !said.contains("perplexity"), "{said}");
    // TensorBoard compares such runs by the loss.
    let events = fs::read_dir(folder.0.join("run")).unwrap().map(|entry| entry.unwrap().path());
    let events = events.filter(|path| path.to_string_lossy().contains("tfevents")).map(|path| fs::read(path).unwrap());
    let events = String::from_utf8_lossy(&events.collect::<Vec<_>>().concat()).into_owned();
    assert!(
        events.contains("hparam/val_loss")
            && events.contains("hparam/best_val_loss")
            && !events.contains("hparam/val_acc")
    );
    let rows = fs::read_to_string(folder.0.join("run/metrics.jsonl")).unwrap();
    let losses: Vec<f64> =
        rows.lines().map(|row| serde_json::from_str::<Value>(row).unwrap()["val_loss"].as_f64().unwrap()).collect();
    assert!(losses.len() == 3 && losses[2] < losses[0] && losses[0] < 22_f64.ln(), "{losses:?}");
    let evaluate = |what: &[&str]| -> Value {
        serde_json::from_str(&folder.works(&[&["eval", "--json"], what].concat())).unwrap()
    };
    for what in [&["run"][..], &["--weights", "run/model.safetensors", "--data", "input.txt"]] {
        let json = evaluate(what);
        let (loss, perplexity) = (json["loss"].as_f64().unwrap(), json["perplexity"].as_f64().unwrap());
        assert!((loss - losses[2]).abs() < 1e-6 && (perplexity - loss.exp()).abs() < 1e-6, "{json} {losses:?}");
        assert!(json["confusion"].is_null() && json["normalize"].is_null(), "{json}");
    }
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(said.contains(&format!("best on validation: loss {least:.4}, bits per character ")), "{said}");
    assert!((evaluate(&["run", "--best"])["loss"].as_f64().unwrap() - least).abs() < 1e-6);
    let ended = folder.works(&["train", "--resume", "run"]);
    assert!(ended.contains(&format!("validation loss {:.4}.", losses[2])), "{ended}");
    folder.works(&["train", "--resume", "run", "--extend", "1"]);
    let rows = fs::read_to_string(folder.0.join("run/metrics.jsonl")).unwrap();
    assert_eq!(rows.lines().count(), 4);
    let init = ["--init", "run/model.safetensors", "--max-steps", "1", "--out", "next"];
    folder.works(&[&["train"][..], &data, &rest, &init].concat());
    let run: Value = serde_json::from_str(&fs::read_to_string(folder.0.join("next/run.json")).unwrap()).unwrap();
    assert_eq!((&run["network"]["heads"], &run["tokens"]["length"]), (&4.into(), &16.into()), "{run}");
    folder.works(&["report", "run"]);

    let refused = folder.refused(2, &["train", "--data", "input.txt", "--model", "resnet18"]);
    assert!(refused.contains("resnet18 takes images") && refused.contains("gpt"), "{refused}");
    let refused = folder.refused(2, &["train", "--model", "gpt", "--dataset", "shapes10"]);
    assert!(refused.contains("shapes10 has images"), "{refused}");
    let refused = folder.refused(2, &["train", "--model", "gpt", "--model-set", "heads=3"]);
    assert!(refused.contains("cannot be shared by 3 heads"), "{refused}");
    folder.write("other.txt", "Another text, with other characters!?".repeat(9).as_bytes());
    let other = ["eval", "--weights", "run/model.safetensors", "--data", "other.txt"];
    let refused = folder.refused(1, &other);
    assert!(
        refused.contains("other.txt: expected the 15 characters of the weights' vocabulary alone, found `A` in line 1"),
        "{refused}"
    );
}

/// Weights know what their tokens stand for, and text is encoded by that: as a file without its run, on other text, for a run that
/// starts from them, and where that is resumed.
#[test]
fn weights_keep_their_vocabulary() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("vocabulary");
    folder.write("a.txt", "<unk> the cat sat\nthe dog ran\n".repeat(20).as_bytes());
    // The text has other words, in another order, and some that are new.
    folder.write("b.txt", "a dog\nthe dog sat\n".repeat(20).as_bytes());
    let set = ["block=4", "width=8", "depth=1", "heads=1"];
    let set: Vec<&str> = set.iter().flat_map(|pair| ["--model-set", pair]).collect();
    let rest = ["--model", "gpt", "--batch-size", "8", "--max-steps", "2"];
    let said =
        folder.works(&[&["train", "--data", "a.txt", "--tokens", "word", "--out", "run"], &rest[..], &set].concat());
    assert!(said.contains("perplexity") && !said.contains("bits per"), "{said}");
    fs::copy(folder.0.join("run/model.safetensors"), folder.0.join("w.safetensors")).unwrap();
    let loss = |what: &[&str]| {
        let json: Value = serde_json::from_str(&folder.works(&[&["eval", "--json"], what].concat())).unwrap();
        json["loss"].as_f64().unwrap()
    };
    let own = loss(&["run"]);
    assert_eq!(loss(&["w.safetensors", "--data", "a.txt"]), own);
    // The tokens that the text has by the weights' vocabulary, as files of numbers.
    let stated =
        |path: &str| -> Value { serde_json::from_str(&fs::read_to_string(folder.0.join(path)).unwrap()).unwrap() };
    let entries = &stated("run/run.json")["dataset"]["classes"];
    assert_eq!(*entries, serde_json::json!(["<unk>", "the", "cat", "sat", "<eos>", "dog", "ran"]));
    let tokens = [[0, 5, 4], [1, 5, 3]].concat().into_iter().chain([4]);
    let line: Vec<u8> = tokens.flat_map(u16::to_le_bytes).collect();
    folder.write("numbers/train.bin", &line.repeat(18));
    folder.write("numbers/val.bin", &line.repeat(2));
    folder.write("numbers/meta.json", serde_json::json!({ "vocab_size": 7, "itos": entries }).to_string().as_bytes());
    assert_eq!(loss(&["run", "--data", "b.txt"]), loss(&["run", "--data", "numbers"]), "token for token");
    // What the run's text was cut into is no demand on sets that are no text.
    let refused = folder.refused(1, &["eval", "run", "--dataset", "grammar"]);
    assert!(refused.contains("expected a network of 29 classes"), "{refused}");
    let refused = folder.refused(2, &["eval", "run", "--data", "b.txt", "--tokens", "char"]);
    assert!(refused.contains("--tokens is char, and the weights' vocabulary is of words"), "{refused}");

    folder.works(&[&["train", "--data", "b.txt", "--init", "w.safetensors", "--out", "next"], &rest[..]].concat());
    let run = stated("next/run.json");
    assert_eq!((&run["dataset"]["classes"], &run["recipe"]["tokens"]), (entries, &"word".into()));
    folder.works(&["train", "--resume", "next", "--max-steps", "3"]);
    loss(&["next"]);
    // A new last layer, which is the embedding too, is for the text's own tokens.
    folder.write("c.txt", "zażółć gęślą jaźń\n".repeat(20).as_bytes());
    let start = ["train", "--data", "c.txt", "--init", "w.safetensors"];
    folder.works(&[&start[..], &rest, &["--init-head", "skip", "--out", "new"]].concat());
    let run = stated("new/run.json");
    let letters: Vec<String> = "\n agjlzóąćęłńśźż".chars().map(String::from).collect();
    assert_eq!((&run["dataset"]["classes"], &run["recipe"]["tokens"]), (&serde_json::json!(letters), &"char".into()));
    folder.works(&["train", "--resume", "new", "--max-steps", "3"]);
}
