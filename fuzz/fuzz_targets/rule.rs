//! Fuzzes rules in files: header, expressions, and the WGSL around and in them; and what an accepted rule computes per
//! update.
#![no_main]

use libfuzzer_sys::fuzz_target;
use velograd::optim::Rule;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(rule) = Rule::parse("fuzz", "fuzz.wgsl", text) else { return };
    let (optimizer, _) = rule.build(&[]).expect("its defaults were tried");
    for t in [1, 2, 9, 1_000, 1_000_000] {
        optimizer.scalars(t);
    }
    assert!(optimizer.words() <= 4);
});
