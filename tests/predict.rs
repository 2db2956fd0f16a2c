//! `velograd predict`: the classes of pictures, and text that a language model continues.

use std::{fs, process::Output};

use pollster::block_on;
use serde_json::Value;
use velograd::{
    data::{Batch, Image, Split, Tokens, Vocabulary},
    host::{
        data::{self as host_data, Wanted, pictures::loose},
        pretrained::{Head, Pretrained},
    },
    training::{evaluate::evaluator_of, generate::Generator, network::Recipe, sampling::Sampling},
};

use crate::{
    folder::{Folder, says},
    no_gpu::folder_of_images::{png, png_of},
    support::{gpu, read},
};

const ENDINGS: [&str; 3] = ["cat/a", "dog/b", "dog/c"];

/// A folder with a run of a small network on pictures of two classes.
fn of_images(name: &str, more: &[&str]) -> Folder {
    let folder = Folder::new(name);
    for part in ["train", "val"] {
        for (nth, place) in ENDINGS.into_iter().enumerate() {
            folder.write(&format!("pets/{part}/{place}.png"), &gradient(16 + 3 * nth as u32, 15));
        }
    }
    let train = ["train", "--data", "pets", "--image-size", "12", "--model", "mlp", "--model-set", "width=8"];
    let rest = ["--batch-size", "3", "--epochs", "2", "--optimizer", "sgd", "--selftest", "off", "--out", "run"];
    folder.works(&[&train[..], &rest, more].concat());
    folder
}

fn json(folder: &Folder, arguments: &[&str]) -> Value {
    serde_json::from_str(&folder.works(arguments)).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A picture whose colours rise along its rows, along its columns, and along both.
fn gradient(width: u32, height: u32) -> Vec<u8> {
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| [9 * x, 12 * y, 5 * (x + y)].map(|v| v as u8)));
    png_of(width, height, &pixels.flatten().collect::<Vec<_>>())
}

/// A picture by itself is what it is in a folder of pictures: resized, cut and in the same order of colours.
#[test]
fn a_picture_is_read_as_in_a_set() {
    let folder = Folder::new("predict-gradient");
    for place in ["train/a", "train/b", "val/a", "val/b"] {
        folder.write(&format!("{place}/x.png"), &gradient(20, 15));
    }
    let wanted = Wanted { path: Some(&folder.0), image_size: Some(12), ..Wanted::default() };
    let set = host_data::open(wanted).unwrap().dataset;
    let mut in_set = vec![0; 3 * 12 * 12];
    read(set.as_ref(), Split::Test, 0, &mut in_set).unwrap();
    let alone = loose::read(&folder.0.join("val/a/x.png"), Image { channels: 3, height: 12, width: 12 }).unwrap();
    assert_eq!(alone, in_set);
    assert!(alone[0] < alone[11] && alone[0] == alone[12] && alone[144] < alone[144 + 132], "red rises along rows");
}

/// The probabilities are the softmax of the logits that an evaluation writes of the same pictures, by one view or six.
#[test]
fn images_are_predicted_as_they_are_evaluated() {
    if gpu().is_none() {
        return;
    }
    as_evaluated("predict-views", &["--tta"]);
    let (folder, found) = as_evaluated("predict-images", &[]);
    name_weights(&folder, &found);
}

fn as_evaluated(name: &str, more: &[&str]) -> (Folder, Vec<Vec<String>>) {
    let folder = of_images(name, more);
    folder.works(&["eval", "run", "--logits", "logits.csv"]);
    let rows = |name: &str| -> Vec<Vec<String>> {
        let text = fs::read_to_string(folder.0.join(name)).unwrap();
        text.lines().map(|line| line.trim().split(',').map(str::to_owned).collect()).collect()
    };
    folder.works(&["predict", "run", "pets/val", "--csv", "p.csv"]);
    let (logits, found) = (rows("logits.csv"), rows("p.csv"));
    assert_eq!(found[0], ["file", "class", "probability", "cat", "dog"]);
    let files: Vec<&str> = found[1..].iter().map(|row| &row[0][..]).collect();
    assert_eq!(files, ENDINGS.map(|ending| format!("pets/val/{ending}.png")));
    for (logits, found) in logits[1..].iter().zip(&found[1..]) {
        let logits: Vec<f64> = logits[1..].iter().map(|cell| cell.parse().unwrap()).collect();
        let powers: Vec<f64> = logits.iter().map(|logit| logit.exp()).collect();
        let expected: Vec<f64> = powers.iter().map(|power| power / powers.iter().sum::<f64>()).collect();
        let shares: Vec<f64> = found[2..].iter().map(|cell| cell.parse().unwrap()).collect();
        let best = usize::from(expected[1] > expected[0]);
        assert_eq!(found[1], ["cat", "dog"][best]);
        assert_eq!(shares[0], shares[1 + best]);
        assert!(shares[1..].iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "{shares:?} {expected:?}");
    }
    (folder, found)
}

/// A table, an object, and the ways to name weights say the same.
fn name_weights(folder: &Folder, found: &[Vec<String>]) {
    let table = folder.works(&["predict", "run", "pets/val/cat/a.png", "pets/val/dog"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["file", "class", "probability"]);
    assert_eq!((lines.len(), lines[1][0], lines[1][1]), (7, "pets/val/cat/a.png", &found[1][1][..]));
    let share = 100.0 * found[1][2].parse::<f64>().unwrap();
    assert_eq!(lines[1][2..], [&format!("{share:.2}"), "%"]);
    let object = json(folder, &["predict", "--weights", "run", "pets/val/cat/a.png", "--top", "1", "--json"]);
    assert_eq!(object["images"][0]["classes"].as_array().unwrap().len(), 1);
    assert_eq!(object["images"][0]["classes"][0]["class"], found[1][1]);
    for weights in ["run/model.safetensors", "run", "latest"] {
        let _ = fs::create_dir(folder.0.join("runs"));
        let _ = fs::rename(folder.0.join("run"), folder.0.join(if weights == "latest" { "runs/run" } else { "run" }));
        let again = json(folder, &["predict", weights, "pets/val/cat/a.png", "--top", "1", "--json"]);
        assert_eq!(again["images"], object["images"], "{weights}");
    }
}

/// A damaged picture is named, the others are predicted, and the program fails.
#[test]
fn a_damaged_picture_leaves_the_others() {
    if gpu().is_none() {
        return;
    }
    let folder = of_images("predict-damaged", &["--tta"]);
    folder.write("new/b.png", b"no picture");
    folder.write("new/a.png", &png(40, 30, [200; 3]));
    folder.write("new/c/d.png", &png(12, 12, [7; 3]));
    folder.write("new/e.gif", b"");
    let output = folder.velograd(&["predict", "run", "new", "missing.png"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let parts =
        ["error: new/b.png: expected a PNG", "cannot read missing.png", "2 of 4 images", "1 picture(s) of other kinds"];
    says(&said(&output), &parts);
    says(&said(&output), &["mlp", "six views"]);
    let table = String::from_utf8(output.stdout).unwrap();
    let files: Vec<&str> =
        table.lines().filter(|line| line.contains('/')).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(files, ["new/a.png", "new/c/d.png"]);
    assert_eq!(folder.velograd(&["predict", "run", "new", "--csv", "p.csv"]).status.code(), Some(1));
    says(&fs::read_to_string(folder.0.join("p.csv")).unwrap(), &["new/b.png,,,,"]);
    let output = folder.velograd(&["predict", "run", "new/b.png", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    says(&String::from_utf8(output.stdout).unwrap(), &[r#""error":"new/b.png: expected a PNG"#]);

    let refused = |code, arguments: &[&str], parts: &[&str]| says(&folder.refused(code, arguments), parts);
    refused(2, &["predict", "run"], &["no image to predict", "name pictures"]);
    refused(2, &["predict", "run", "--prompt", "a"], &["--prompt is for language models", "mlp takes images"]);
    refused(2, &["predict", "run", "new", "--seed", "1"], &["--seed is for language models"]);
    refused(2, &["predict", "run", "new", "--top", "0"], &["--top is 0"]);
    refused(2, &["predict", "run", "new", "--image-size", "16"], &["--image-size is 16", "12x12"]);
    refused(2, &["predict", "run", "new", "--normalize", "dataset"], &["--normalize dataset needs"]);
    refused(1, &["predict", "run", "new", "--csv", "no/p.csv"], &["no: expected a folder"]);
    refused(1, &["predict", "nowhere", "new"], &["nowhere"]);
    folder.write("empty/notes.txt", b"");
    refused(1, &["predict", "run", "empty"], &["empty: expected PNG", "found none"]);
}

/// Colours, and what Pillow makes of them.
const GREYS: [([u8; 3], u8); 12] = [
    ([255, 0, 0], 76),
    ([0, 255, 0], 150),
    ([0, 0, 255], 29),
    ([255, 255, 255], 255),
    ([77, 77, 77], 77),
    ([68, 32, 130], 54),
    ([60, 253, 230], 193),
    ([241, 194, 107], 198),
    ([48, 249, 14], 162),
    ([199, 221, 1], 189),
    ([228, 136, 117], 161),
    ([52, 162, 15], 112),
];

/// Networks of grey images get pictures as Pillow's `convert("L")` makes them, and those that are no squares must fit.
#[test]
fn pictures_in_grey() {
    let folder = Folder::new("predict-grey");
    // Values of Pillow 13: Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0)).
    for (colour, grey) in GREYS {
        let path = folder.write("a.png", &png(3, 2, colour));
        assert_eq!(loose::read(&path, Image { channels: 1, height: 2, width: 3 }).unwrap(), [grey; 6], "{colour:?}");
        assert_eq!(loose::read(&path, Image { channels: 1, height: 5, width: 5 }).unwrap(), [grey; 25]);
        let planes = loose::read(&path, Image { channels: 3, height: 2, width: 3 }).unwrap();
        assert_eq!(planes, colour.map(|value| [value; 6]).concat());
        let error = loose::read(&path, Image { channels: 3, height: 4, width: 3 }).unwrap_err().to_string();
        says(&error, &["a.png: expected a picture of 3x4 pixels, found one of 3x2", "hint: resize it"]);
    }
    for name in ["f/b.png", "f/a/z.PNG", "f/c.txt", "f/d.gif", "f/a.jpg"] {
        folder.write(name, b"");
    }
    let found = loose::find(&folder.0.join("f")).unwrap();
    let names: Vec<_> =
        found.pictures.iter().map(|path| path.strip_prefix(&folder.0).unwrap().to_str().unwrap()).collect();
    assert_eq!((names, found.left_out), (vec!["f/a.jpg", "f/b.png", "f/a/z.PNG"], 1));
}

const TEXT: &str = "the cat sat on the mat. the dog sat on the log.\n";

/// A folder with a run of a small language model.
fn of_text(name: &str, more: &[&str]) -> Folder {
    let folder = Folder::new(name);
    folder.write("input.txt", TEXT.repeat(30).as_bytes());
    let set = ["block=16", "width=32", "depth=1", "heads=2"].into_iter().flat_map(|pair| ["--model-set", pair]);
    let set: Vec<&str> = set.collect();
    let train = ["train", "--data", "input.txt", "--model", "gpt", "--batch-size", "8", "--optimizer", "adamw"];
    let rest = ["--set", "lr=0.01", "--epochs", "3", "--selftest", "off", "--out", "run"];
    folder.works(&[&train[..], &set, &rest, more].concat());
    folder
}

/// The same seed draws the same text, and temperature 0 takes the likeliest token of each prefix by itself.
#[test]
fn text_is_continued() {
    let Some(gpu) = gpu() else { return };
    let folder = of_text("predict-text", &[]);
    let draw =
        |more: &[&str]| folder.works(&[&["predict", "run", "--prompt", "the ", "--length", "30"], more].concat());
    let (first, other) = (draw(&[]), draw(&["--seed", "1"]));
    assert_eq!((first.chars().count(), first.starts_with("the ")), (4 + 30 + 1, true), "{first}");
    assert_eq!(first, draw(&["--seed", "0", "--temperature", "1"]));
    assert_ne!(first, other);
    let greedy = draw(&["--temperature", "0"]);
    assert_eq!(greedy, draw(&["--top-k", "1", "--seed", "9"]));
    let object =
        json(&folder, &["predict", "run", "--prompt", "the ", "--length", "30", "--temperature", "0", "--json"]);
    assert_eq!(format!("the {}\n", object["text"].as_str().unwrap()), greedy);

    // A draw at temperature 1 is that of its number, so that each token has one of its own.
    let text = draw(&["--seed", "3"]);
    let numbered = Sampling { temperature: 1.0, top_k: None, seed: 3 };

    // Each prefix, cut to the block, in a network that is as long as the prefix, so that nothing is behind its end.
    let weights = Pretrained::open(&folder.0.join("run/model.safetensors")).unwrap();
    let vocabulary = Vocabulary::of(&weights.provenance.as_ref().unwrap().dataset.classes);
    let load = |layout: &_| weights.weights(layout, Head::Load, 0);
    let encode = |text: &str| -> Vec<u32> { vocabulary.encode(text).unwrap().into_iter().map(u32::from).collect() };
    let (tokens, drawn) = (encode(&greedy[..34]), encode(&text[..34]));
    let behind = |tokens: &[u32]| {
        let seen = &tokens[tokens.len().saturating_sub(16)..];
        let length = seen.len() as u32;
        let config = weights.config.on(Tokens { length, vocabulary: weights.config.classes });
        let ready = evaluator_of(gpu, (weights.model, &config), 1, Recipe::default(), load);
        let mut network = block_on(ready).unwrap();
        let inputs = seen.iter().flat_map(|token| token.to_le_bytes()).collect();
        network.evaluate(&Batch { inputs, targets: vec![0; seen.len()], indices: vec![0] }, true).unwrap();
        let all = block_on(network.logits(1)).unwrap();
        let last = all[(seen.len() - 1) * weights.config.classes as usize..].to_vec();
        assert_eq!(block_on(network.logits_at(1, 0, seen.len() - 1)).unwrap(), last);
        last
    };
    for end in [4_usize, 5, 11, 16, 17, 33] {
        let last = behind(&tokens[..end]);
        let largest = last.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(last.iter().position(|&logit| logit == largest), Some(tokens[end] as usize), "{end}");
        assert_eq!(numbered.draw(&behind(&drawn[..end]), end as u64 - 4).unwrap(), drawn[end], "{end}");
    }
    // A generator continues its own text.
    let sampling = Sampling { temperature: 0.0, top_k: None, seed: 0 };
    let config = weights.config.clone();
    let mut generator = block_on(Generator::new(gpu, (weights.model, &config), sampling, &tokens[..4], load)).unwrap();
    let drawn: Vec<u32> = (0..30).map(|_| block_on(generator.next()).unwrap()).collect();
    assert_eq!(drawn, tokens[4..]);
}

/// Prompts from files, empty ones, and what is refused.
#[test]
fn prompts_of_every_kind() {
    if gpu().is_none() {
        return;
    }
    let folder = of_text("predict-prompts", &["--tokens", "word"]);
    let few = ["predict", "run", "--length", "3"];
    let with = |more: &[&str]| folder.velograd(&[&few, more].concat());
    let empty = with(&[]);
    assert!(empty.status.success(), "{}", said(&empty));
    says(&said(&empty), &["the prompt is empty", "line end", "gpt, "]);
    folder.write("prompt.txt", b"the  dog sat");
    let text = folder.works(&[&few[..], &["--prompt-file", "prompt.txt", "--temperature", "0"]].concat());
    assert!(text.starts_with("the dog sat ") && text.split_whitespace().count() <= 6, "{text}");
    let long = "the cat sat ".repeat(9);
    says(&said(&with(&["--prompt", &long])), &["the last 16 of the 27 tokens"]);
    let refused = |arguments: &[&str], parts: &[&str]| says(&folder.refused(2, &[&few, arguments].concat()), parts);
    refused(&["--prompt", "the bird"], &["--prompt: `bird` is none of the 8 tokens"]);
    refused(&["--prompt", " "], &["--prompt has no token in it"]);
    refused(&["--temperature", "-1"], &["--temperature is -1", "at least 0"]);
    refused(&["--top-k", "0"], &["--top-k is 0"]);
    refused(&["--length", "0"], &["--length is 0"]);
    refused(&["a.png"], &["a.png is no use to gpt", "--prompt says how the text begins"]);
    refused(&["--csv", "a.csv"], &["--csv is for images"]);
    // Without a vocabulary, tokens are numbers.
    let bytes = fs::read(folder.0.join("run/model.safetensors")).unwrap();
    let plain = safetensors::serialize(safetensors::SafeTensors::deserialize(&bytes).unwrap().tensors(), None).unwrap();
    fs::write(folder.0.join("plain.safetensors"), plain).unwrap();
    let plain = |prompt: &str| folder.velograd(&["predict", "plain.safetensors", "--length", "4", "--prompt", prompt]);
    let output = plain("3 0 7");
    says(&said(&output), &["do not say how text is cut into tokens"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<u32> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
    assert!(numbers.len() == 7 && numbers[..3] == [3, 0, 7] && numbers.iter().all(|n| *n < 8), "{text}");
    says(&said(&plain("the")), &["`the` is none of the 8 tokens", "give the numbers of tokens"]);
}

/// Loss in the unit that a token is.
#[test]
fn bits_are_counted_by_what_tokens_are() {
    if gpu().is_none() {
        return;
    }
    for (by, unit) in [("char", Some("character")), ("byte", Some("byte")), ("word", None)] {
        let folder = of_text("predict-bits", &["--tokens", by, "--max-steps", "1"]);
        let found = json(&folder, &["eval", "run", "--json"]);
        let bits = found["loss"].as_f64().unwrap() / 2_f64.ln();
        for (key, there) in [("bits_per_character", unit == Some("character")), ("bits_per_byte", unit == Some("byte"))]
        {
            assert_eq!(found.get(key).is_some(), there, "{by} {found}");
            assert!(!there || (found[key].as_f64().unwrap() - bits).abs() < 1e-9, "{found}");
        }
        says(&folder.works(&["eval", "run"]), &[&format!("{bits:.4} bits per {}", unit.unwrap_or("token"))]);
    }
}
