//! The `.tar.gz`: raw bytes, or a tar that is packed here with its checksums made right, since no fuzzer finds those.
#![no_main]

mod file;

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;
use velograd::data::Cifar10;

fuzz_target!(|bytes: &[u8]| {
    let Some((&form, bytes)) = bytes.split_first() else { return };
    let mut packed = bytes.to_vec();
    if form & 1 == 1 {
        let mut plain = bytes.to_vec();
        if form & 2 == 2 {
            plain.resize(plain.len().next_multiple_of(512) + 7 * 512, 0);
        }
        for block in plain.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
            let mut header = tar::Header::from_byte_slice(block).clone();
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(&plain).expect("to memory");
        packed = encoder.finish().expect("to memory");
    }
    let _ = Cifar10::open_archive(&file::file("a.tar.gz", &packed), 1 << 24);
});
