//! Fuzzes the readers of a comparison's files: `run.json`, `metrics.jsonl`, `experiment.json`.
#![no_main]

mod file;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use velograd::lab::experiment::{Variant, begin, read_ended};

/// A `run.json` that is accepted, so that the metrics beside it are read.
fn sound() -> &'static str {
    static RUN: OnceLock<String> = OnceLock::new();
    RUN.get_or_init(|| {
        let (_, settings) = velograd::optim::build("sgd", &[]).expect("sgd has defaults");
        let result = serde_json::json!({ "diverged": null, "device_bytes": 12 });
        serde_json::json!({ "optimizer": "sgd", "settings": settings.to_json(), "result": result }).to_string()
    })
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&form, bytes)) = bytes.split_first() else { return };
    let variant = Variant { label: "sgd".into(), optimizer: "sgd".into(), set: vec![] };
    match form % 3 {
        0 => {
            file::file("run.json", bytes);
            file::file("metrics.jsonl", b"");
            let _ = read_ended(file::folder(), &variant, 0);
        }
        1 => {
            file::file("run.json", sound().as_bytes());
            file::file("metrics.jsonl", bytes);
            let _ = read_ended(file::folder(), &variant, 0);
        }
        _ => {
            file::file("experiment.json", bytes);
            let recipe = serde_json::json!({ "width": 4 }).as_object().expect("a table").clone();
            let _ = begin(file::folder(), &recipe, 7);
        }
    }
});
