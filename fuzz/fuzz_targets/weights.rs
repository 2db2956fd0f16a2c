//! Fuzzes the readers of safetensors: the input is a header, to which the data that it describes are added, or a whole
//! file.
#![no_main]

mod file;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use velograd::{
    host::pretrained::{Head, Pretrained},
    models::{self, resnet::{self, Stem}},
    program::{params::Layout, target::Target},
    training::network::{Plans, Recipe},
};

fn layout() -> &'static Layout {
    static LAYOUT: OnceLock<Layout> = OnceLock::new();
    LAYOUT.get_or_init(|| {
        let config = resnet::config(Stem::Cifar, 1, 10);
        let recipe = Recipe::default();
        let target = Target::portable();
        let plans = Plans { model: &models::ALL[0], config, recipe, target, train: vec![], evaluate: vec![] };
        plans.record(1, false).layout
    })
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&form, bytes)) = bytes.split_first() else { return };
    let mut file = bytes.to_vec();
    if form & 1 == 1 {
        file = [&(bytes.len() as u64).to_le_bytes(), bytes].concat();
        let table: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
        let ends = table.iter().filter_map(|t| t.as_object()).flat_map(|t| t.values());
        let last = ends.filter_map(|t| t["data_offsets"][1].as_u64()).max().unwrap_or(0);
        file.resize(file.len() + last.min(1 << 20) as usize, 0);
    }
    let path = file::file("w.safetensors", &file);
    if let Ok(weights) = Pretrained::open(&path).and_then(|file| file.weights(layout(), Head::Load, 0)) {
        assert!(weights.params.iter().chain(&weights.running).all(|v| v.is_finite()));
    }
});
