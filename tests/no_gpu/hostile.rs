//! Files that are damaged, forged or endless give an error, never a panic, and never take more memory than the file
//! justifies.
//!
//! A seeded generator mutates valid files, a few thousand times per reader; `fuzz/` has the same readers for
//! cargo-fuzz.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use flate2::{Compression, write::GzEncoder};
use velograd::{
    cli,
    error::{Error, Result},
    host::{
        data::Cifar10,
        huggingface,
        pretrained::{Head, Pretrained},
        weights::save,
    },
    lab::experiment::{self, Variant},
    models::{self, Model},
    program::params::Layout,
    random::Rng,
    training::weights::Weights,
};

use crate::folder::{Folder, records};

/// Mutates `bytes` in one to four places within the first `reach`.
pub fn bend(rng: &mut Rng, bytes: &[u8], reach: usize) -> Vec<u8> {
    let mut bent = bytes.to_vec();
    for _ in 0..=rng.below(4) {
        if bent.is_empty() {
            break;
        }
        let at = rng.below(bent.len().min(reach) as u32) as usize;
        let len = (rng.below(40) as usize).min(bent.len() - at);
        match rng.below(8) {
            0 => bent[at] ^= 1 << rng.below(8),
            1 => bent[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5) as usize],
            2 => drop(bent.drain(at..at + len)),
            3 => {
                let again = bent[at..at + len].to_vec();
                bent.splice(at..at, again);
            }
            4 => bent.truncate(at),
            5 => drop(bent.splice(at..at, (0..len).map(|_| rng.u32() as u8).collect::<Vec<_>>())),
            // Numbers in text become longer, negative, or no numbers.
            6 => {
                let digit = bent[at..].iter().position(u8::is_ascii_digit).map_or(at, |i| at + i);
                let number =
                    [&b"18446744073709551615"[..], b"-1", b"1e999", b"9", b"0.5", b"nan"][rng.below(6) as usize];
                bent.splice(digit..(digit + 1).min(bent.len()), number.iter().copied());
            }
            _ => {
                let from = rng.below(bent.len() as u32) as usize;
                let copy = bent[from..(from + len).min(bent.len())].to_vec();
                bent[at..].iter_mut().zip(copy).for_each(|(to, byte)| *to = byte);
            }
        }
    }
    bent
}

/// Whether a reader accepted the file. Panics if its error is none that a reader may give.
pub fn taken<T>(answer: Result<T>) -> bool {
    match answer {
        Ok(_) => true,
        Err(Error::Config { .. } | Error::Data { .. } | Error::Io { .. }) => false,
        Err(other) => panic!("a reader said: {other}"),
    }
}

/// Mutates `valid` `times` times. Some of the files must be accepted, and not all, or the mutations test nothing.
pub fn bent(path: &Path, valid: &[u8], times: u32, reach: usize, mut reader: impl FnMut() -> bool) {
    fs::write(path, valid).unwrap();
    assert!(reader(), "{}: the valid file is refused", path.display());
    let mut rng = Rng::keyed(11, &[u64::from(crc32fast::hash(path.file_name().unwrap().as_encoded_bytes()))]);
    let mut taken = 0;
    for _ in 0..times {
        fs::write(path, bend(&mut rng, valid, reach)).unwrap();
        taken += u32::from(reader());
    }
    println!("{}: {taken} of {times} bent files taken", path.display());
    assert!(taken < times, "{}: nothing is ever refused", path.display());
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        // The name is written directly, since the crate refuses names that lead out of a folder.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn records_and_archives() {
    let folder = Folder::new("hostile-cifar");
    let (set, names) = (records(3), b"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
    let file = folder.write("set/data_batch_1.bin", &set);
    bent(&file, &set, 2000, set.len(), || taken(Cifar10::open(file.parent().unwrap())));
    folder.write("named/data_batch_1.bin", &set);
    let meta = folder.write("named/batches.meta.txt", names);
    fs::write(&meta, names).unwrap();
    let mut rng = Rng::new(5);
    for _ in 0..500 {
        fs::write(&meta, bend(&mut rng, names, names.len())).unwrap();
        assert!(taken(Cifar10::open(meta.parent().unwrap())), "class names are no reason to refuse a set");
    }

    let plain = tar(&[("x/data_batch_1.bin", &set), ("x/batches.meta.txt", names), ("x/test_batch.bin", &set)]);
    let packed = gzip(&plain);
    let path = folder.0.join("raw.tar.gz");
    bent(&path, &packed, 2000, packed.len(), || taken(Cifar10::open(&path)));
    // gzip's checksum stops most of these. So the tar is mutated before it is packed, and its headers' checksums are
    // corrected.
    let path = folder.0.join("inner.tar.gz");
    let mut taken_at_all = 0;
    for _ in 0..2000 {
        let mut inner = bend(&mut rng, &plain, plain.len());
        for block in inner.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
            let mut header = tar::Header::from_byte_slice(block).clone();
            header.set_cksum();
            block.copy_from_slice(header.as_bytes());
        }
        fs::write(&path, gzip(&inner)).unwrap();
        taken_at_all += u32::from(taken(Cifar10::open(&path)));
    }
    println!("{taken_at_all} of 2000 bent archives taken");
    assert!((1..2000).contains(&taken_at_all));

    // Names in entries of their own, without gzip around them.
    let long = "folder/".repeat(30);
    let [first, test] = ["data_batch_1.bin", "test_batch.bin"].map(|name| format!("{long}{name}"));
    let mut gnu = tar::Builder::new(Vec::new());
    let mut pax = tar::Builder::new(Vec::new());
    for name in [first, test] {
        let mut header = tar::Header::new_gnu();
        header.set_size(set.len() as u64);
        header.set_cksum();
        gnu.append_data(&mut header, &name, &set[..]).unwrap();
        let size = set.len().to_string();
        pax.append_pax_extensions([("path", name.as_bytes()), ("size", size.as_bytes())]).unwrap();
        pax.append_data(&mut header, "short", &set[..]).unwrap();
    }
    for (name, bytes) in [("gnu.tar", gnu.into_inner().unwrap()), ("pax.tar", pax.into_inner().unwrap())] {
        let path = folder.0.join(name);
        bent(&path, &bytes, 2000, 1600, || taken(Cifar10::open(&path)));
        // The same with the headers' checksums corrected.
        let mut rng = Rng::new(6);
        for _ in 0..1000 {
            let mut bent = bend(&mut rng, &bytes, 1600);
            for block in bent.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
                let mut header = tar::Header::from_byte_slice(block).clone();
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
            fs::write(&path, bent).unwrap();
            taken(Cifar10::open(&path));
        }
    }
}

fn layout(model: &Model) -> Layout {
    model.layout(&crate::support::small(model, 1, 10))
}

fn load(path: &Path, layout: &Layout) -> Result<Weights> {
    Pretrained::open(path)?.weights(layout, Head::Load, 0)
}

#[test]
fn weights() {
    let folder = Folder::new("hostile-weights");
    let path = folder.0.join("w.safetensors");
    let layouts: Vec<Layout> = models::ALL.iter().map(layout).collect();
    for layout in &layouts {
        save(&Weights::init(layout, 1), &path, layout, None).unwrap();
        let valid = fs::read(&path).unwrap();
        let table = u64::from_le_bytes(valid[..8].try_into().unwrap()) as usize;
        bent(&path, &valid, 3000, table + 64, || taken(load(&path, layout)));
        bent(&path, &valid, 500, valid.len(), || taken(load(&path, layout)));
    }

    // Offsets whose sum overflows, and headers longer than their file.
    let half =
        |from: u64, to: u64| format!("\"shape\":[{}],\"data_offsets\":[{from},{to}],\"dtype\":\"U8\"", to - from);
    let forged = format!("{{\"a\":{{{}}},\"b\":{{{}}}}}", half(0, 1 << 63), half(1 << 63, u64::MAX));
    for length in [forged.len() as u64, 0, 7, 99_999_999, 1 << 40, u64::MAX] {
        fs::write(&path, [&length.to_le_bytes(), forged.as_bytes()].concat()).unwrap();
        assert!(!taken(load(&path, &layouts[0])), "{length}");
    }
}

#[test]
fn folders_of_transformers() {
    let folder = Folder::new("hostile-transformers");
    for name in ["gpt", "bert"] {
        let model = models::find(name).unwrap();
        let config = crate::support::small(model, 1, 10);
        let layout = model.layout(&config);
        let place = folder.0.join(name);
        huggingface::save(&place, model, &config, |layout| Ok(Weights::init(layout, 1))).unwrap();
        for (name, times) in [("config.json", 3000), ("model.safetensors", 1000)] {
            let path = place.join(name);
            let valid = fs::read(&path).unwrap();
            bent(&path, &valid, times, valid.len(), || taken(load(&place, &layout)));
            fs::write(&path, &valid).unwrap();
        }
    }
}

#[test]
fn recipes() {
    let folder = Folder::new("hostile-recipes");
    let path = folder.0.join("r.toml");
    let valid = br#"
optimizer = "adam"
width = 16
epochs = 3
schedule = "step:every=1950,gamma=0.1"
warmup = 5
no-decay = ["norm", "bias"]
clip-norm = 1.5
lookahead = "5,0.5"
augment = "none"
[set]
lr = 0.001
weight_decay = 1e-4
amsgrad = true
[quick]
epochs = 1
[quick.set]
lr = 0.01
"#;
    let read = || taken(cli::check(["velograd", "train", "--config", path.to_str().unwrap()].map(Into::into).to_vec()));
    bent(&path, valid, 3000, valid.len(), read);
    for text in ["[".repeat(100_000), format!("a = {}", "[".repeat(100_000)), "a.".repeat(50_000), "\u{0}".into()] {
        fs::write(&path, text).unwrap();
        assert!(!read());
    }
}

#[test]
fn folders_of_runs() {
    let folder = Folder::new("hostile-runs");
    let variant = Variant { label: "sgd".into(), optimizer: "sgd".into(), set: vec![] };
    let (_, settings) = velograd::optim::build("sgd", &[]).unwrap();
    let result = serde_json::json!({ "diverged": null, "device_bytes": 12 });
    let run = serde_json::json!({ "optimizer": "sgd", "settings": settings.to_json(), "result": result }).to_string();
    let metrics = "{\"epoch\":1,\"train_loss\":0.5,\"train_acc\":null,\"val_loss\":1.0,\"val_acc\":2.0,\"val_f1\":0.5,\
                   \"val_precision\":0.1,\"val_recall\":0.2,\"seconds\":1.5,\"images_per_second\":3.0}\n";
    let (run_json, metrics_jsonl) = (folder.0.join("run.json"), folder.0.join("metrics.jsonl"));
    fs::write(&metrics_jsonl, metrics.repeat(3)).unwrap();
    let read = || taken(experiment::read_ended(&folder.0, &variant, 0));
    bent(&run_json, run.as_bytes(), 3000, run.len(), read);
    fs::write(&run_json, &run).unwrap();
    bent(&metrics_jsonl, metrics.repeat(3).as_bytes(), 3000, usize::MAX, read);
    let recipe = serde_json::json!({ "width": 4 }).as_object().unwrap().clone();
    let begin = || taken(experiment::begin(&folder.0, &recipe, 7));
    assert!(begin(), "an empty folder is free");
    let settings = fs::read(folder.0.join("experiment.json")).unwrap();
    bent(&folder.0.join("experiment.json"), &settings, 3000, settings.len(), begin);
    fs::write(folder.0.join("experiment.json"), "[".repeat(100_000)).unwrap();
    assert!(!begin());
}

/// Runs the program with at most `megabytes` of address space, and expects an error that contains `what`.
pub fn refused_within(folder: &Folder, megabytes: u32, arguments: &str, what: &str) {
    let script = format!("ulimit -v {}; exec \"$0\" {arguments}", megabytes * 1024);
    let program = env!("CARGO_BIN_EXE_velograd");
    let output = Command::new("sh").args(["-c", &script, program]).current_dir(&folder.0).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{arguments}: {said}");
    assert!(said.contains(what) && !said.contains("panicked"), "{arguments}: {said}");
}

/// A gigabyte of zeros in a megabyte of gzip is refused after 64 MiB. A header that states 8 GiB, and sparse files of
/// any length, are refused at once.
#[cfg(target_os = "linux")]
#[test]
fn little_memory_for_large_promises() {
    let folder = Folder::new("hostile-bombs");
    let mut header = tar::Header::new_gnu();
    header.set_path("data_batch_1.bin").unwrap();
    header.set_size(1 << 30);
    header.set_cksum();
    let zeros = gzip(&vec![0; 1 << 24]);
    let bomb = [gzip(header.as_bytes()), zeros.repeat(64)].concat();
    assert!(bomb.len() < 6 << 20);
    let mut unpacked = 0;
    flate2::read::MultiGzDecoder::new(&bomb[..]).take(1 << 20).read_to_end(&mut vec![]).map(|n| unpacked = n).unwrap();
    assert_eq!(unpacked, 1 << 20);
    folder.write("bomb.tar.gz", &bomb);
    refused_within(&folder, 400, "data --data bomb.tar.gz", "a hundred times its size");
    // The same bytes as the name of an entry, which the tar crate would have read whole.
    for kind in [tar::EntryType::GNULongName, tar::EntryType::XHeader] {
        let mut long = tar::Header::new_gnu();
        long.set_path("././@LongLink").unwrap();
        long.set_entry_type(kind);
        long.set_size(1 << 30);
        long.set_cksum();
        folder.write("name.tar.gz", &[gzip(long.as_bytes()), zeros.repeat(64)].concat());
        refused_within(&folder, 200, "data --data name.tar.gz", "names of at most 65536 bytes");
    }
    header.set_size(8 << 30);
    header.set_cksum();
    folder.write("promise.tar.gz", &gzip(&[header.as_bytes(), &records(1)[..]].concat()));
    refused_within(&folder, 200, "data --data promise.tar.gz", "promise.tar.gz");

    let endless = |name: &str| fs::File::create(folder.0.join(name)).unwrap().set_len(1 << 40).unwrap();
    ["data_batch_1.bin", "w.safetensors", "r.toml"].into_iter().for_each(endless);
    refused_within(&folder, 200, "data --data .", "data_batch_1.bin");
    refused_within(&folder, 200, "eval --weights w.safetensors", "w.safetensors");
    refused_within(&folder, 200, "train --init w.safetensors", "w.safetensors");
    refused_within(&folder, 200, "train --config r.toml", "at most 4194304 bytes");
}

/// Names that lead out of the folder, links and devices: an archive is read, and nothing is ever written.
#[test]
fn an_archive_writes_nothing() {
    let folder = Folder::new("hostile-paths");
    let (set, inside) = (records(2), folder.0.join("a/b/set.tar.gz"));
    let mut link = tar::Header::new_gnu();
    link.set_path("data_batch_2.bin").unwrap();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_link_name("/etc/passwd").unwrap();
    link.set_size(0);
    link.set_cksum();
    let absolute = "/velograd-hostile/data_batch_3.bin";
    let files = [("../../data_batch_1.bin", &set[..]), (absolute, &set[..]), ("../../../test_batch.bin", &set[..])];
    let bytes = gzip(&[link.as_bytes(), &tar(&files)[..]].concat());
    fs::create_dir_all(inside.parent().unwrap()).unwrap();
    fs::write(&inside, &bytes).unwrap();
    let before = list(&folder.0);
    let opened = Cifar10::open(&inside).unwrap();
    assert_eq!(velograd::data::Dataset::len(&opened, velograd::data::Split::Train), 4, "the link is no file");
    assert_eq!(list(&folder.0), before);
    assert!(!Path::new(absolute).exists());
    assert!(fs::read(&inside).unwrap() == bytes, "the archive is as it was");
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(list(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}
