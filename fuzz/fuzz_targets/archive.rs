//! Fuzzes the reader of archives: with raw bytes, or with a tar whose checksums are corrected here, since a fuzzer
//! would not find them.
#![no_main]

mod file;

use flate2::Crc;
use libfuzzer_sys::fuzz_target;
use velograd::host::data::Cifar10;

/// Most bytes that an archive may unpack to. A few kilobytes of gzip can expand to any number, and to inflate more of
/// the same finds nothing and takes the time of a thousand other inputs.
const LIMIT: u64 = 1 << 18;

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
        packed = if form & 4 == 4 { plain } else { stored(&plain) };
    }
    let _ = Cifar10::open_archive(&file::file("a.tar.gz", &packed), LIMIT);
});

/// A gzip member of stored blocks (RFC 1952, RFC 1951 section 3.2.4): compressing would take longer than reading.
fn stored(plain: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    for block in plain.chunks(usize::from(u16::MAX)) {
        let length = block.len() as u16;
        packed.push(0); // not the last
        packed.extend([length, !length].map(u16::to_le_bytes).concat());
        packed.extend_from_slice(block);
    }
    packed.extend([1, 0, 0, 0xff, 0xff]);
    let mut crc = Crc::new();
    crc.update(plain);
    packed.extend([crc.sum(), plain.len() as u32].map(u32::to_le_bytes).concat());
    packed
}
