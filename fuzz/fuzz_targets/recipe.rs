//! Fuzzes the reader of recipes in TOML, and with it every flag of `train` and every setting of an optimizer.
#![no_main]

mod file;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let path = file::file("r.toml", bytes);
    let arguments = ["velograd", "train", "--config", path.to_str().expect("an ordinary path")];
    let _ = velograd::cli::check(arguments.map(Into::into).to_vec());
});
