//! Times, ceilings and the files of `velograd profile`.

use std::fs;

use pollster::block_on;
use velograd::{
    device::{
        runtime::Runtime,
        timing::{dispatch_seconds, in_passes},
    },
    lab::ceilings::Ceilings,
    program::{BufferKind, Tape},
};

use crate::{folder::Folder, support::gpu};

/// Timed in one pass or in one pass each, the dispatches are the same and in the same order, and a long one is seen to
/// be long.
#[test]
fn dispatches_are_timed_in_either_way() {
    let Some(gpu) = gpu() else { return };
    let mut t = Tape::new(&gpu.target, true);
    let floats = [1 << 12, 1 << 22, 1 << 12];
    let buffers = ["source", "copy"].map(|name| t.buffer(BufferKind::scratch(name), 4 << 22));
    for len in floats {
        let [source, copy] = buffers;
        t.call("bench/copy").size("len4", len / 4).read(source).write(copy).groups(len / 4 / 256);
    }
    let recordings = [t.finish()];
    let runtime = block_on(Runtime::new(gpu, &recordings, true)).unwrap();
    block_on(runtime.run(&[0])).unwrap();
    if block_on(dispatch_seconds(&runtime, 0)).unwrap().is_none() {
        println!("skipped: the device has no timestamps");
        return;
    }
    for apart in [false, true] {
        let seconds = block_on(in_passes(&runtime, 0, apart)).unwrap();
        assert_eq!(seconds.len(), 3);
        assert!(seconds[1] > seconds[0] && seconds[1] > seconds[2], "apart: {apart}: {seconds:?}");
    }
    // A copy loads one buffer and stores to the other.
    assert_eq!(recordings[0].moved_bytes(&recordings[0].calls[0]), 2 * (4 << 22));
}

#[test]
fn ceilings_are_rates() {
    let Some(gpu) = gpu() else { return };
    let ceilings = block_on(Ceilings::measure(gpu)).unwrap();
    // From below the slowest device that runs this to above any that exists.
    assert!((1e8..1e14).contains(&ceilings.bytes_per_second), "{ceilings:?}");
    assert!((1e9..1e16).contains(&ceilings.flop_per_second), "{ceilings:?}");
    assert!((1e-8..1e-2).contains(&ceilings.dispatch_seconds), "{ceilings:?}");
    let bytes = ceilings.bytes_per_second;
    assert!((ceilings.floor(bytes, 0.0) - 1.0).abs() < 1e-9);
    assert!((ceilings.floor(bytes, 3.0 * ceilings.flop_per_second) - 3.0).abs() < 1e-9);
}

#[test]
fn a_profile_names_every_dispatch() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("profile");
    let said = folder.works(&["profile", "--width", "4", "--batch-size", "8", "--rounds", "2", "--out", "p"]);
    for text in ["conv2d/forward", "optim/velograd_update", "of ceiling", "ceilings: copy"] {
        assert!(said.contains(text), "{text} is not in\n{said}");
    }
    let read = |name: &str| fs::read_to_string(folder.0.join("p").join(name)).unwrap();
    let csv = read("profile.csv");
    let trace: serde_json::Value = serde_json::from_str(&read("trace.json")).unwrap();
    let spans: Vec<_> = trace["traceEvents"].as_array().unwrap().iter().filter(|e| e["ph"] == "X").collect();
    let kernels: Vec<_> = spans.iter().filter(|e| e["tid"] == 2).collect();
    let parts: Vec<_> = spans.iter().filter(|e| e["tid"] == 1).map(|e| e["name"].as_str().unwrap()).collect();
    assert_eq!(parts, ["forward", "backward", "optimizer"]);
    assert_eq!(kernels.len(), csv.lines().count() - 1);
    // They follow each other without gaps.
    let number = |e: &serde_json::Value, key: &str| e[key].as_f64().unwrap();
    for pair in kernels.windows(2) {
        let end = number(pair[0], "ts") + number(pair[0], "dur");
        assert!((number(pair[1], "ts") - end).abs() < 1e-3, "{pair:?}");
    }
    let svg = read("memory.svg");
    assert!(svg.contains("layer4.1") && svg.ends_with("</svg>\n"));
}
