//! What files of weights say of where they come from, and whether it is believed.

use std::fs;

use safetensors::SafeTensors;
use velograd::{
    data::{Shapes10, Sizes},
    host::{
        pretrained::{Head, Pretrained},
        weights::save,
    },
    models,
    training::provenance::KEY,
};

use super::{checkpoint_of, drawn, provenance, resnet, tensors, write};
use crate::folder::{Folder, says};

/// The provenance in a file comes back to the bit, and the tensors are the same without it.
#[test]
fn files_say_where_they_come_from() {
    let folder = Folder::new("metadata");
    let path = folder.0.join("w.safetensors");
    let layout = resnet(10);
    save(&drawn(&layout), &path, &layout, Some(&provenance(10))).unwrap();
    let file = Pretrained::open(&path).unwrap();
    assert_eq!((file.provenance.as_ref(), file.normalize()), (Some(&provenance(10)), provenance(10).normalize));
    assert!(file.remarks.is_empty() && file.weights(&layout, Head::Load, 0).unwrap() == drawn(&layout));
    let bytes = fs::read(&path).unwrap();
    let (_, table) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = table.metadata().as_ref().unwrap();
    let again = folder.0.join("again.safetensors");
    save(&drawn(&layout), &again, &layout, Some(&provenance(10))).unwrap();
    assert!(fs::read(&again).unwrap() == bytes, "equal weights are equal files");
    let said: serde_json::Value = serde_json::from_str(&metadata[KEY]).unwrap();
    assert_eq!((&said["model"], &said["normalize"]["std"][2]), (&"resnet18".into(), &1e-3.into()));
    let mut names: Vec<String> = tensors(&folder, &layout).into_iter().map(|(name, ..)| name).collect();
    let mut found = table.offset_keys();
    names.sort();
    found.sort();
    assert_eq!(found, names, "metadata are no tensors");
    // That of a checkpoint is what its run says.
    fs::write(&path, checkpoint_of(&models::ALL[0], 10, &drawn(&layout))).unwrap();
    assert_eq!(Pretrained::open(&path).unwrap().provenance, Some(provenance(10)));
}

/// Metadata that cannot be parsed, are impossible or contradict the tensors are ignored with a remark, and the weights
/// are read.
#[test]
fn metadata_are_not_believed_blindly() {
    let folder = Folder::new("doubt");
    let path = folder.0.join("w.safetensors");
    let layout = resnet(10);
    let own = tensors(&folder, &layout);
    let with = |change: fn(&mut serde_json::Value)| {
        let mut value = serde_json::to_value(provenance(10)).unwrap();
        change(&mut value);
        value.to_string()
    };
    let cases: [(String, &str); 20] = [
        (with(|v| v["network"] = "9".repeat(100_000).into()), "invalid type: string"),
        ("no JSON".into(), "expected"),
        (String::new(), "EOF"),
        ("[".repeat(100_000), "recursion"),
        ("{}".into(), "missing field"),
        ("[1, 2]".into(), "invalid"),
        (with(|v| v["model"] = "airbench94".into()), "model airbench94, where the tensors are of resnet18"),
        (
            with(|v| v["network"]["stem"] = "imagenet".into()),
            "`conv1.weight` of shape [2, 3, 7, 7], where the file has `conv1.weight` of shape [2, 3, 3, 3]",
        ),
        (
            with(|v| v["network"]["width"] = 64.into()),
            "`conv1.weight` of shape [64, 3, 3, 3], where the file has `conv1.weight` of shape [2, 3, 3, 3]",
        ),
        (with(|v| v["classes"] = 1000.into()), "10 names of 1000 classes"),
        (with(|v| v["network"]["width"] = (-1).into()), "width=-1: expected"),
        (with(|v| v["network"]["depth"] = 3.into()), "no setting `depth`"),
        (
            with(|v| v["image"]["channels"] = 1.into()),
            "`conv1.weight` of shape [2, 1, 3, 3], where the file has `conv1.weight` of shape [2, 3, 3, 3]",
        ),
        (with(|v| v["image"]["height"] = 0.into()), "32x0 pixels"),
        (with(|v| v["normalize"]["std"][0] = 0.into()), "a normalization by"),
        (with(|v| v["normalize"]["mean"][0] = 127.5.into()), "a normalization by"),
        (with(|v| v["normalize"]["std"] = serde_json::json!([0.1, 0.1])), "invalid length"),
        (with(|v| v["optimizer"] = "\u{1b}[2Jsgd".into()), "cannot be printed"),
        (with(|v| v["dataset"]["name"] = "x".repeat(1001).into()), "cannot be printed"),
        (with(|v| v["dataset"]["crc32"] = "a\nb".into()), "cannot be printed"),
    ];
    for (text, why) in cases {
        write(&path, &own, &[("format", "pt"), (KEY, &text)]);
        let file = Pretrained::open(&path).unwrap();
        assert!(file.provenance.is_none(), "{text}");
        says(&file.remarks.join("\n"), &["what it says of itself is ignored", why]);
        assert!(file.remarks.iter().all(|r| !r.contains('\u{1b}') && r.len() < 400), "{:?}", file.remarks);
        assert!(file.weights(&layout, Head::Load, 0).unwrap() == drawn(&layout));
    }
    // Another program's metadata need no remark.
    write(&path, &own, &[("format", "pt"), ("model", "airbench94")]);
    let file = Pretrained::open(&path).unwrap();
    assert!(file.provenance.is_none() && file.remarks.is_empty());
}

/// Whether images are those that weights were trained on is decided by the names of the classes, and then by the
/// checksum.
#[test]
fn other_images_are_told_apart() {
    let shapes = Shapes10::new(4, Sizes { train: 10, test: 0 }).unwrap();
    let set: &dyn velograd::data::Dataset = &shapes;
    let mut own = provenance(10);
    own.dataset.classes = set.spec().classes.clone();
    own.dataset.crc32 = format!("{:08x}", set.checksum());
    assert_eq!(own.other_images(set), None);
    own.dataset.crc32 = "00000000".into();
    says(&own.other_images(set).unwrap(), &["other images of shapes10", "CRC-32", "00000000"]);
    own.dataset.classes[2] = "cat".into();
    says(&own.other_images(set).unwrap(), &["ANOTHER DATA SET", "disc, ring, cat", "disc, ring, square"]);
    // Names may have any characters, and any length, and are printed as one short line.
    own.dataset.classes[2] = "\u{1b}[2J\n".to_owned() + &"x".repeat(100_000);
    let said = own.other_images(set).unwrap();
    says(&said, &["disc, ring, \\u{1b}[2J\\nxxx"]);
    assert!(said.len() < 500 && !said.contains('\u{1b}'), "{said}");
    // Older files do not have the names of the classes.
    own.dataset.classes.clear();
    own.dataset.name = "cifar10".into();
    says(&own.other_images(set).unwrap(), &["ANOTHER DATA SET", "cifar10", "shapes10"]);
}
