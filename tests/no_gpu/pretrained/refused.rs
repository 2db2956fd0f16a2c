//! Files that are no weights of a network of this program: each error says what they are.

use super::*;

/// Networks that share names with one of this program are recognized.
#[test]
fn other_networks_are_named() {
    let folder = Folder::new("networks");
    let path = folder.0.join("w.safetensors");
    let tensor = |name: String, shape: &[usize]| {
        (name, Dtype::F32, shape.to_vec(), vec![0; 4 * shape.iter().product::<usize>()])
    };
    let resnet = |blocks: &[usize], bottleneck: bool| -> Vec<Stored> {
        let mut all = vec![tensor("conv1.weight".into(), &[4, 3, 7, 7]), tensor("fc.weight".into(), &[10, 32])];
        for (stage, &count) in (1..).zip(blocks) {
            for (block, conv) in
                (0..count).flat_map(|block| (1..=if bottleneck { 3 } else { 2 }).map(move |c| (block, c)))
            {
                all.push(tensor(format!("module.layer{stage}.{block}.conv{conv}.weight"), &[1]));
            }
        }
        all
    };
    for (blocks, bottleneck, name) in [
        (&[3, 4, 23, 3][..], false, "a ResNet-68 (3, 4, 23, 3 basic blocks)"),
        (&[2, 2, 2, 2], true, "a ResNet-26 (2, 2, 2, 2 bottleneck blocks)"),
        (&[3, 24, 36, 3], true, "a ResNet-200"),
        (&[3, 3, 3], false, "a ResNet-20 (3, 3, 3 basic blocks)"),
    ] {
        write(&path, &resnet(blocks, bottleneck), &[]);
        let said = refused(&path, &self::resnet(10));
        says(&said, &["weights of resnet18 or resnet34", name]);
        assert!(!said.contains("hint"), "there is nothing to be done: {said}");
    }
    // The depth is right, but the last stage has another number of channels.
    let mut wrong = resnet(&[2, 2, 2, 2], false);
    wrong[1] = tensor("fc.weight".into(), &[10, 33]);
    write(&path, &wrong, &[]);
    says(&refused(&path, &self::resnet(10)), &["conv1.weight and fc.weight of resnet18", "[4, 3, 7, 7] and [10, 33]"]);
    write(&path, &[tensor("encoder.weight".into(), &[3]), tensor("z".into(), &[1])], &[]);
    says(&refused(&path, &self::resnet(10)), &["2 tensors, none of that name; the first is `encoder.weight`"]);
    write(&path, &[], &[]);
    says(&refused(&path, &self::resnet(10)), &["no tensor at all"]);
    let mut more = tensors(&folder, &self::resnet(10));
    more.push(tensor("n_averaged".into(), &[1]));
    write(&path, &more, &[]);
    says(
        &refused(&path, &self::resnet(10)),
        &["the tensors of resnet18, stem cifar, width 2 alone", "also `n_averaged`"],
    );
    let mut less = tensors(&folder, &self::resnet(10));
    less.retain(|(name, ..)| name != "layer1.0.bn1.bias");
    write(&path, &less, &[]);
    says(&refused(&path, &self::resnet(10)), &["`layer1.0.bn1.bias` of shape [2]", "no such tensor"]);
}

/// Files of other types are named; for PyTorch's, the error has the command that converts the tensors to a file that
/// can be read.
#[test]
fn other_files_are_named() {
    let folder = Folder::new("files");
    let mut zip = b"PK\x03\x04".to_vec();
    zip.resize(26, 0);
    zip.extend([14, 0, 0, 0]);
    zip.extend(b"model/data.pkl\x80\x02");
    for (name, bytes, parts) in [
        ("a model.pt", &zip[..], &["a PyTorch file", "python3 -c \"import sys, torch", "a model.safetensors'"][..]),
        (
            "old.pth",
            &[0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19],
            &["PyTorch", "old.safetensors"],
        ),
        ("page.safetensors", b"<!doctype html><title>404</title>", &["a web page"]),
        ("lfs.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", &["git lfs pull"]),
        ("keras.h5", b"\x89HDF\r\n\x1a\n", &["an HDF5 file"]),
        ("noise", &[7; 100], &["a safetensors file", "in a file of 100"]),
        ("empty", b"", &["0 bytes"]),
    ] {
        says(&refused(&folder.write(name, bytes), &resnet(10)), parts);
    }
}

/// The folder of a run is not a file of weights; the error names the file in it.
#[test]
fn a_folder_is_no_file() {
    let folder = Folder::new("run-folder");
    folder.write("run/model.safetensors", b"");
    says(&refused(&folder.0.join("run"), &resnet(10)), &["the folder of a run", "run/model.safetensors"]);
    says(&refused(&folder.0, &resnet(10)), &["an ordinary file", "a folder"]);
}

/// Invalid values are refused by the name of their tensor, in every type.
#[test]
fn values_that_are_no_weights() {
    let folder = Folder::new("values");
    let path = folder.0.join("w.safetensors");
    let layout = resnet(10);
    let sound = tensors(&folder, &layout);
    let single = |v: f32| (Dtype::F32, v.to_le_bytes().to_vec());
    let double = |v: f64| (Dtype::F64, v.to_le_bytes().to_vec());
    for (name, (dtype, bytes), what) in [
        ("layer2.0.bn1.bias", single(f32::NAN), "NaN"),
        ("layer2.0.bn1.bias", single(f32::NEG_INFINITY), "-inf"),
        ("layer2.0.bn1.bias", double(1e39), "1e39, which is beyond the largest"),
        ("layer2.0.bn1.bias", double(f64::INFINITY), "inf"),
        ("layer2.0.bn1.bias", (Dtype::F16, half::f16::INFINITY.to_le_bytes().to_vec()), "inf"),
        ("layer2.0.bn1.running_var", single(-1.0), "finite values of at least 0"),
        ("layer2.0.bn1.bias", (Dtype::I32, vec![0; 4]), "as F32, F16, BF16 or F64, found I32"),
        ("layer2.0.bn1.bias", (Dtype::BOOL, vec![0]), "found BOOL"),
    ] {
        let mut wrong = sound.clone();
        let (_, of, _, values) = wrong.iter_mut().find(|(n, ..)| n == name).unwrap();
        *values = bytes.repeat(4);
        *of = dtype;
        write(&path, &wrong, &[]);
        says(&refused(&path, &layout), &[name, what]);
    }
    // The same for a checkpoint.
    let mut weights = drawn(&layout);
    let bias = layout.params.iter().find(|s| s.name == "layer2.0.bn1.bias").unwrap();
    weights.params[bias.offset as usize] = f32::NAN;
    fs::write(&path, checkpoint_of(&models::ALL[0], 10, &weights)).unwrap();
    says(&refused(&path, &layout), &["layer2.0.bn1.bias", "NaN"]);
    // Counters must not be negative.
    let mut wrong = sound.clone();
    let counter = wrong.iter_mut().find(|(n, ..)| n == "bn1.num_batches_tracked").unwrap();
    counter.3 = (-1_i64).to_le_bytes().to_vec();
    write(&path, &wrong, &[]);
    says(&refused(&path, &layout), &["bn1.num_batches_tracked", "-1"]);
}

/// Headers with a false type, length or offset of a tensor.
#[test]
fn tables_that_lie() {
    let folder = Folder::new("lies");
    let layout = resnet(10);
    let path = folder.0.join("own.safetensors");
    save(&drawn(&layout), &path, &layout, None).unwrap();
    let sound = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(sound[..8].try_into().unwrap()) as usize;
    let (table, data) = (String::from_utf8(sound[8..8 + length].to_vec()).unwrap(), &sound[8 + length..]);
    let lies = [
        ("\"F32\"", "\"F64\""),
        ("\"F32\"", "\"F16\""),
        ("\"F32\"", "\"F33\""),
        ("[10,16]", "[10,17]"),
        ("[10,16]", "[18446744073709551615,18446744073709551615]"),
        ("[10,16]", "[-10,16]"),
        ("\"fc.bias\"", "\"fc.weight\""),
        ("\"data_offsets\":[", "\"data_offsets\":[1"),
    ];
    for (truth, lie) in lies {
        let forged = table.replacen(truth, lie, 1);
        assert!(forged != table, "{truth} is not in {table}");
        let bytes = [&(forged.len() as u64).to_le_bytes()[..], forged.as_bytes(), data].concat();
        fs::write(&path, bytes).unwrap();
        says(&refused(&path, &layout), &["own.safetensors"]);
    }
}
