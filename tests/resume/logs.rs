//! The logs in further formats: they have the rows of the JSON lines, whatever happens to the run.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use super::run::{files, killed, place, recipe, rows, same, start_with, wait_for};
use crate::{
    folder::{Folder, says},
    support::gpu,
};

pub const LOGS: [&str; 4] = ["--log", "csv", "--log", "tensorboard"];

fn lines(run: &Path, name: &str) -> Vec<Value> {
    fs::read_to_string(run.join(name)).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asserts that a table has the rows of a log: a cell for each value, none for what the row lacks or has as null.
fn same_table(run: &Path, name: &str) {
    let mut table = csv::Reader::from_path(run.join(name).with_extension("csv")).unwrap();
    let header = table.headers().unwrap().clone();
    let read: Vec<Value> = table
        .records()
        .map(|record| {
            let cells = record.unwrap();
            let filled = header
                .iter()
                .zip(cells.iter())
                .filter(|(_, cell)| !cell.is_empty())
                .map(|(key, cell)| (key.to_owned(), serde_json::from_str::<Value>(cell).unwrap()));
            Value::Object(filled.collect())
        })
        .collect();
    let mut expected = lines(run, name);
    expected.iter_mut().for_each(|row| row.as_object_mut().unwrap().retain(|_, value| !value.is_null()));
    assert!(!read.is_empty() && read == expected, "{name}: {read:?}\nis not\n{expected:?}");
}

/// The remainder of a polynomial division, bit by bit: CRC-32C as RFC 3720 defines it, and TFRecord's mask.
fn masked_crc(bytes: &[u8]) -> u32 {
    let crc = !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    });
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The records of a file, with their checksums compared.
pub fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut records = vec![];
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_at(8);
        let size = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        let sum = |of: &[u8]| u32::from_le_bytes(of[..4].try_into().unwrap());
        assert_eq!(sum(rest), masked_crc(length), "the length's checksum");
        let data = &rest[4..4 + size];
        assert_eq!(sum(&rest[4 + size..]), masked_crc(data), "the data's checksum");
        records.push(data.to_vec());
        bytes = &rest[size + 8..];
    }
    records
}

/// The fields of a message in the wire format of protocol buffers: numbers as their bits, texts and messages as bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let length = bytes.iter().position(|byte| byte & 128 == 0).unwrap() + 1;
        let (read, rest) = bytes.split_at(length);
        *bytes = rest;
        read.iter().rev().fold(0, |number, byte| number << 7 | u64::from(byte & 127))
    }
    let mut fields = vec![];
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let length = match key & 7 {
            0 => {
                fields.push((key >> 3, varint(&mut bytes).to_le_bytes().to_vec()));
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes) as usize,
            5 => 4,
            wire => panic!("wire type {wire}"),
        };
        fields.push((key >> 3, bytes[..length].to_vec()));
        bytes = &bytes[length..];
    }
    fields
}

/// The content of a field that a message has once at most.
fn field(message: &[u8], number: u64) -> Option<Vec<u8>> {
    fields(message).into_iter().find(|(found, _)| *found == number).map(|(_, content)| content)
}

/// What TensorBoard shows of a run's files.
#[derive(Default)]
pub struct Shown {
    /// Steps and values by tag.
    scalars: BTreeMap<String, Vec<(u64, f32)>>,
    /// Steps of other values by tag.
    others: BTreeMap<String, Vec<u64>>,
}

/// Reads the files in the order of their names. A SessionLog with START takes back what is at its step or later.
fn shown(run: &Path) -> Shown {
    let mut names: Vec<String> = files(run).filter(|name| name.starts_with("events.out.tfevents.")).collect();
    names.sort();
    let mut shown = Shown::default();
    for name in names {
        for (nth, event) in records(&fs::read(run.join(&name)).unwrap()).iter().enumerate() {
            let number = |bytes: Vec<u8>| u64::from_le_bytes(bytes.try_into().unwrap());
            let step = field(event, 2).map_or(0, number);
            assert_eq!(nth == 0, field(event, 3).is_some_and(|version| version == b"brain.Event:2"), "{name}: {nth}");
            if let Some(log) = field(event, 7) {
                assert_eq!((nth, field(&log, 1).map(number)), (1, Some(1)), "{name}: START comes first");
                shown.scalars.values_mut().for_each(|points| points.retain(|(at, _)| *at < step));
                shown.others.values_mut().for_each(|points| points.retain(|at| *at < step));
            }
            for (_, value) in field(event, 5).iter().flat_map(|summary| fields(summary)) {
                let tag = String::from_utf8(field(&value, 1).unwrap()).unwrap();
                match field(&value, 2) {
                    Some(bits) => {
                        let number = f32::from_le_bytes(bits.try_into().unwrap());
                        shown.scalars.entry(tag).or_default().push((step, number));
                    }
                    None => shown.others.entry(tag).or_default().push(step),
                }
            }
        }
    }
    shown
}

/// Asserts that both formats have the rows of the JSON lines, each once.
pub fn same_rows(run: &Path) -> Shown {
    same_table(run, "steps.jsonl");
    same_table(run, "metrics.jsonl");
    let shown = shown(run);
    let (steps, epochs) = (lines(run, "steps.jsonl"), lines(run, "metrics.jsonl"));
    let number = |row: &Value, key: &str| row[key].as_f64().unwrap() as f32;
    for (key, tag) in [("loss", "train/loss"), ("lr", "train/lr"), ("grad_norm", "train/grad_norm")] {
        let expected: Vec<_> = steps.iter().map(|row| (row["step"].as_u64().unwrap(), number(row, key))).collect();
        assert_eq!(shown.scalars[tag], expected, "{tag}");
    }
    let last = |epoch: &Value| steps.iter().rev().find(|row| row["epoch"] == epoch["epoch"]).unwrap()["step"].as_u64();
    for (key, tag) in [("epoch", "epoch"), ("val_acc", "val/accuracy"), ("train_loss", "train/epoch_loss")] {
        let expected: Vec<_> = epochs.iter().map(|row| (last(row).unwrap(), number(row, key))).collect();
        assert_eq!(shown.scalars[tag], expected, "{tag}");
    }
    assert_eq!(shown.others["train/images"], [0]);
    shown
}

fn train(folder: &Folder, flags: &[&str]) {
    folder.works(&[&["train", "--out", "run"], &recipe()[..], flags].concat());
}

/// A run with all logs that is killed and resumed has every row once, and the bits of one without these logs.
#[test]
fn every_format_has_the_rows_of_a_run_that_was_killed() {
    if gpu().is_none() {
        return;
    }
    let folder = place("logs");
    let run = folder.0.join("run");
    let mut child = start_with(&folder, &LOGS);
    assert!(wait_for(&mut child, || rows(&run) >= 4), "the run ended before it was killed");
    child.kill().unwrap();
    child.wait().unwrap();
    // The row that a killed process had no time to finish, and rows that no checkpoint relies on.
    fs::write(run.join("steps.csv"), "step,epoch\n1,1\n9,9\n9,").unwrap();
    killed(&folder, 3);
    folder.works(&["train", "--resume", "run"]);
    same(&run, "logs in every format");
    let shown = same_rows(&run);
    assert!(files(&run).filter(|name| name.contains("tfevents")).count() == 3, "a file per start");
    assert_eq!(shown.others["train/log10_update_ratio"].last(), Some(&12));
    assert_eq!(shown.others["_hparams_/session_start_info"], [0]);
    assert_eq!(shown.others["_hparams_/session_end_info"], [12]);
    assert_eq!(shown.scalars["hparam/val_accuracy"].len(), 1);
}

/// An epoch that was cut short and evaluated, and is then continued, has the values of its second evaluation alone.
#[test]
fn an_epoch_that_is_continued_has_one_row() {
    if gpu().is_none() {
        return;
    }
    let folder = place("logs-cut");
    let run = folder.0.join("run");
    train(&folder, &[&LOGS[..], &["--max-steps", "4"]].concat());
    let first = same_rows(&run);
    assert_eq!(first.scalars["val/accuracy"].iter().map(|(step, _)| *step).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(first.others["train/log10_update_ratio"], [3, 4]);
    folder.works(&["train", "--resume", "run", "--max-steps", "7"]);
    let second = same_rows(&run);
    assert_eq!(second.scalars["val/accuracy"].iter().map(|(step, _)| *step).collect::<Vec<_>>(), [3, 6, 7]);
    assert_eq!(second.others["train/log10_update_ratio"], [3, 6, 7]);
}

/// Logs that a run gets later have its rows from the beginning; `jsonl` ends them, and what they hold stays.
#[test]
fn logs_come_and_go() {
    if gpu().is_none() {
        return;
    }
    let folder = place("logs-later");
    let run = folder.0.join("run");
    train(&folder, &["--max-steps", "4"]);
    assert!(!files(&run).any(|name| name.ends_with(".csv") || name.contains("tfevents")));
    folder.works(&[&["train", "--resume", "run", "--max-steps", "6"], &LOGS[..]].concat());
    let shown = same_rows(&run);
    assert_eq!(shown.others["train/log10_update_ratio"], [6], "what is not in the rows cannot be made up for");
    let before = fs::read(run.join("steps.csv")).unwrap();
    folder.works(&["train", "--resume", "run", "--max-steps", "7", "--log", "jsonl"]);
    assert_eq!((fs::read(run.join("steps.csv")).unwrap(), rows(&run)), (before, 7));
    says(&folder.refused(2, &["train", "--log", "csv,tsv"]), &["`tsv`", "jsonl, csv, tensorboard"]);
    folder.write("other/steps.csv", b"mine");
    let flags = [&["train", "--out", "other"], &recipe()[..], &LOGS].concat();
    says(&folder.refused(2, &flags), &["there is steps.csv", "--out"]);
    // A file that cannot be written ends the run with its name, and not silently.
    fs::remove_file(run.join("metrics.csv")).unwrap();
    fs::create_dir(run.join("metrics.csv")).unwrap();
    let said = folder.refused(1, &["train", "--resume", "run", "--max-steps", "8", "--log", "csv"]);
    says(&said, &["run/metrics.csv", "an ordinary file"]);
}
