use pollster::block_on;
use std::{fs, path::PathBuf};

use velograd::{host::checkpoint, random::Rng};

use super::{options, trainer};
use crate::{
    folder::Folder,
    support::{Rows, gpu},
};

/// The bytes of a checkpoint in the middle of an epoch.
fn sound(gpu: &velograd::device::Gpu) -> Vec<u8> {
    let mut watcher = Rows::until(|at| at.updates == 2);
    block_on(trainer(gpu, &options("sgd", &[])).run(&mut watcher)).unwrap();
    let run = serde_json::json!({ "config": "width = 6\n" });
    checkpoint::to_bytes(watcher.taken.unwrap(), &run, None)
}

/// The error for these bytes, which must name the file; there must be no panic, and no more memory than the file has.
fn refused(folder: &Folder, bytes: &[u8], what: &str) -> String {
    let path: PathBuf = folder.write("step-000000002.safetensors", bytes);
    let Err(error) = checkpoint::load(&path) else { panic!("{what}: was believed") };
    let error = error.to_string();
    assert!(error.contains("step-000000002.safetensors"), "{what}: {error}");
    error
}

/// Corrects the checksum, as a forger would.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 4;
    let sum = crc32fast::hash(&bytes[..end]).to_le_bytes();
    bytes[end..].copy_from_slice(&sum);
    bytes
}

/// Replaces the header; the data stay.
fn with_header(bytes: &[u8], change: impl FnOnce(String) -> String) -> Vec<u8> {
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = change(String::from_utf8(bytes[8..8 + length].to_vec()).unwrap());
    let data = &bytes[8 + length..];
    sealed([&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat())
}

#[test]
fn cut_anywhere() {
    let Some(gpu) = gpu() else { return };
    let (folder, bytes) = (Folder::new("cut"), sound(gpu));
    folder.write("whole", &bytes);
    assert!(checkpoint::load(&folder.0.join("whole")).is_ok());
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut lengths =
        vec![0, 1, 7, 8, 9, header - 1, header, header + 1, bytes.len() - 5, bytes.len() - 4, bytes.len() - 1];
    let mut rng = Rng::new(1);
    lengths.extend((0..100).map(|_| rng.u32() as usize % bytes.len()));
    for length in lengths {
        refused(&folder, &bytes[..length], &format!("the first {length} bytes"));
    }
    for more in [1, 4, 4096] {
        refused(&folder, &[&bytes[..], &vec![0; more]].concat(), "more bytes than there were");
    }
    // A page that a crash left unwritten.
    let mut torn = bytes.clone();
    let page = torn.len() / 2 / 4096 * 4096;
    torn[page..page + 4096].fill(0);
    assert!(torn != bytes && refused(&folder, &torn, "a page of zeros").contains("it is damaged"));
}

#[test]
fn a_flipped_bit() {
    let Some(gpu) = gpu() else { return };
    let (folder, bytes) = (Folder::new("flip"), sound(gpu));
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut rng = Rng::new(2);
    let anywhere = (0..60).map(|_| (rng.u32() as usize % bytes.len(), rng.u32() % 8)).collect::<Vec<_>>();
    // Every bit of the length, and some bits of header, data and checksum.
    let length = (0..8).flat_map(|byte| (0..8).map(move |bit| (byte, bit)));
    let rest = (8..header).step_by(23).map(|byte| (byte, (byte % 8) as u32));
    let checksum = (bytes.len() - 4..bytes.len()).map(|byte| (byte, 0));
    for (byte, bit) in length.chain(rest).chain(checksum).chain(anywhere) {
        let mut flipped = bytes.clone();
        flipped[byte] ^= 1 << bit;
        refused(&folder, &flipped, &format!("bit {bit} of byte {byte}"));
    }
}

/// Headers with false content, under a correct checksum.
#[test]
fn a_header_that_lies() {
    let Some(gpu) = gpu() else { return };
    let (folder, bytes) = (Folder::new("lies"), sound(gpu));
    let swap = |from: &str, to: &str| {
        with_header(&bytes, |header| {
            assert!(header.contains(from), "{from} is not in {header}");
            header.replacen(from, to, 1)
        })
    };
    let lies = [
        ("a longer tensor", swap("\"shape\":[", "\"shape\":[9")),
        ("a tensor of 2^64 elements", swap("\"shape\":[", "\"shape\":[4294967296,4294967296,")),
        ("an end before the beginning", swap("\"data_offsets\":[0,", "\"data_offsets\":[9,")),
        ("data beyond the file", swap("\"data_offsets\":[0,", "\"data_offsets\":[0,9")),
        ("another type", swap("\"dtype\":\"F32\"", "\"dtype\":\"I32\"")),
        ("an unknown type", swap("\"dtype\":\"F32\"", "\"dtype\":\"F33\"")),
        ("another format", swap("\\\"format\\\":1", "\\\"format\\\":2")),
        ("a negative count", swap("\\\"issued\\\":2", "\\\"issued\\\":-2")),
        ("a text for a number", swap("\\\"issued\\\":2", "\\\"issued\\\":\\\"2\\\"")),
        ("no position", swap("\\\"position\\\"", "\\\"posture\\\"")),
        ("no metadata of ours", swap("velograd.checkpoint", "pytorch.checkpoint")),
        ("no JSON", with_header(&bytes, |header| header.replacen('{', "[", 1))),
        ("deep nesting", with_header(&bytes, |_| "[".repeat(100_000))),
        ("nothing", with_header(&bytes, |_| String::new())),
    ];
    for (what, lie) in lies {
        refused(&folder, &lie, what);
    }
    for length in [u64::MAX, u64::MAX / 2, 1 << 40, 100_000_000, bytes.len() as u64] {
        let mut lie = bytes.clone();
        lie[..8].copy_from_slice(&length.to_le_bytes());
        refused(&folder, &sealed(lie), &format!("a header of {length} bytes"));
    }
    // A terabyte that is not stored, since a file may have holes.
    let path = folder.write("step-000000002.safetensors", &bytes);
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    let error = checkpoint::load(&path).err().expect("a terabyte").to_string();
    assert!(error.contains("1099511627776"), "{error}");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(checkpoint::load(&path).is_err(), "a folder");
}
