//! Faults of the device: the error says what was running, and a device that computes wrongly is refused.

use std::{collections::BTreeMap, fs, process::Command, sync::Arc};

use pollster::block_on;
use velograd::{
    check::selftest::{assure, table},
    data::{Batch, Dataset, Image, Shapes10, Sizes},
    device::{Gpu, runtime::Runtime},
    error::Error,
    models::{
        self, Config,
        resnet::{self, Stem},
    },
    ops::Augment,
    optim,
    program::{
        BufferKind, Tape,
        shader::{Const, Spec},
        step::Report,
    },
    training::{
        Options,
        network::{Done, Network, Place, Plans, Recipe},
        weights::Weights,
    },
};

use crate::{
    folder::{Folder, records},
    support,
};

fn tiny() -> Config {
    resnet::config(Stem::Imagenet, 8, 10)
}

fn network(gpu: &Gpu, batches: &[u32], weights: impl FnOnce(&mut Weights)) -> Network {
    let recipe = Recipe { augment: Augment::PAPER, dropout: 0.5, ..Recipe::default() };
    let plans = Plans {
        model: &models::ALL[0],
        config: tiny(),
        recipe,
        train: batches.to_vec(),
        evaluate: vec![],
        target: crate::support::target(),
    };
    let (optimizer, _) = optim::build("velograd", &[]).unwrap();
    let init = |layout: &_| {
        let mut first = Weights::init(layout, 1);
        weights(&mut first);
        Ok(first)
    };
    block_on(Network::new(gpu, &plans, Some(optimizer), init, 3)).unwrap()
}

const WHOLE: Place = Place { first: true, last: true, images: 16, epoch: 1, lr: 0.0015 };

fn reports(done: &[Done]) -> Vec<Report> {
    done.iter().filter_map(|d| if let Done::Updated(report) = d { Some(*report) } else { None }).collect()
}

/// If the device is lost in the middle of a run, the error has the kernel and the size of the work under way.
#[test]
fn a_lost_device_is_an_error_that_says_what_was_running() {
    if support::gpu().is_none() {
        return;
    }
    let gpu = velograd::host::device::open(None).expect("the adapter opens a second time");
    let mut network = network(&gpu, &[16], |_| ());
    for _ in 0..3 {
        crate::support::train(&mut network, &Batch::noise(16, Image::CIFAR, 10), WHOLE).unwrap();
    }
    gpu.device.destroy();
    let mut outcome = Ok(vec![]);
    for _ in 0..4 {
        outcome = outcome.and_then(|_| crate::support::train(&mut network, &Batch::noise(16, Image::CIFAR, 10), WHOLE));
    }
    let error = outcome.and_then(|_| block_on(network.drain())).expect_err("the device is gone");
    let text = error.to_string();
    let during = "during: a batch of 16 images in 1";
    for part in [gpu.info.name.as_str(), "lost", during, "dispatches; the heaviest is ", "hint: ", "'batch_size'"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert_eq!(error.exit_code(), 1);
    assert!(block_on(network.weights()).is_err() && block_on(gpu.wait()).is_err());
    assert!(block_on(Runtime::new(&gpu, &[], true)).is_err(), "nothing can be made on a device that is gone");
}

/// wgpu's validation errors become errors that name the fault and say that it is not the user's.
#[test]
fn a_validation_error_is_not_the_users() {
    if support::gpu().is_none() {
        return;
    }
    let gpu = velograd::host::device::open(None).expect("the adapter opens a second time");
    let mut network = network(&gpu, &[16], |_| ());
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.clear_buffer(network.runtime.buffer(&BufferKind::Grads), 2, None); // offsets are multiples of four
    let _ = encoder.finish();
    let text = crate::support::train(&mut network, &Batch::noise(16, Image::CIFAR, 10), WHOLE)
        .expect_err("wgpu refuses")
        .to_string();
    for part in ["Buffer offset 2", "during: a batch of 16 images", "please report"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

/// If a batch needs more memory than there is, an error names the batch that fits, before anything runs.
#[test]
fn too_large_a_batch_is_refused_with_the_one_that_fits() {
    let Some(gpu) = support::gpu() else { return };
    let limits = gpu.device.limits();
    let limit = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
    // The largest activation has 32 x 32 pixels of `width` channels, four bytes each.
    let images = |width: u64| limit / (32 * 32 * width * 4) + 1;
    let model = &resnet::RESNET18;
    let largest = |width| u64::from(model.largest_batch(&resnet::config(Stem::Cifar, width, 10)));
    let width = [32, 64, 128, 256].into_iter().find(|&width| images(width) <= largest(width as u32));
    let Some(width) = width else {
        println!("skipped: this device binds more than the largest batch needs");
        return;
    };
    let (n, config) = (images(width) as u32, resnet::config(Stem::Cifar, width as u32, 10));
    let plans = Plans {
        model: &models::ALL[0],
        config,
        recipe: Recipe::default(),
        train: vec![n],
        evaluate: vec![],
        target: crate::support::target(),
    };
    let (optimizer, _) = optim::build("sgd", &[]).unwrap();
    let made = block_on(Network::new(gpu, &plans, Some(optimizer), |layout| Ok(Weights::init(layout, 0)), 0));
    let text = made.err().expect("it cannot fit").to_string();
    assert!(text.contains(&format!("a batch of {n} does not fit")) && text.contains("'batch_size' "), "{text}");
}

/// However finely a batch is cut into submissions, its bits are the same; it is whole unless it would take too long.
#[test]
fn cutting_a_batch_changes_no_bit() {
    let Some(gpu) = support::gpu() else { return };
    let run = |longest: Option<f64>| {
        let mut network = network(gpu, &[16], |_| ());
        if let Some(seconds) = longest {
            network.set_longest_submission(seconds);
        }
        let mut submissions = vec![];
        let mut found = vec![];
        for _ in 0..4 {
            found.extend(reports(&block_on(network.make_room()).unwrap()));
            submissions.push(network.submissions(16));
            network.train(&Batch::noise(16, Image::CIFAR, 10), WHOLE).unwrap();
        }
        found.extend(reports(&block_on(network.drain()).unwrap()));
        (block_on(network.weights()).unwrap(), found, submissions)
    };
    let (whole, losses, default) = run(None);
    let (fine, fine_losses, cut) = run(Some(1e-9));
    let (coarse, coarse_losses, once) = run(Some(1e9));
    assert!(whole == fine && whole == coarse && losses == fine_losses && losses == coarse_losses);
    let dispatches = cut[1];
    assert!(cut[0] > 8 && cut[0] < dispatches && dispatches > 150, "{cut:?}: finely at first, then one by one");
    assert!(once[0] > 8 && once[1..] == [1, 1, 1], "{once:?}: whole once the rate is known");
    assert_eq!(default[3], 1, "{default:?}: the usual batch is one submission");
}

/// The first kernel and layer with a non-finite output is found in each half of a network, and none in a sound one.
#[test]
fn what_is_not_finite_first_is_named() {
    let Some(gpu) = support::gpu() else { return };
    let places = [Place { last: false, ..WHOLE }, Place { first: false, ..WHOLE }];
    let batches: Vec<_> = places.into_iter().map(|place| (Batch::noise(8, Image::CIFAR, 10), place)).collect();
    let run = |name: &str, at: usize, value: f32| {
        let layout = network(gpu, &[8], |_| ()).layout.clone();
        let segment = layout.params.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no {name}"));
        let mut network = network(gpu, &[8], |w| w.params[segment.offset as usize + at] = value);
        batches.iter().for_each(|(batch, place)| drop(crate::support::train(&mut network, batch, *place).unwrap()));
        block_on(network.drain()).unwrap();
        (network.updates().skipped, block_on(network.find_not_finite(&batches)).unwrap())
    };
    let (skipped, found) = run("layer2.0.conv1.weight", 5, f32::NAN);
    let found = found.expect("a NaN is not finite");
    assert_eq!((skipped, found.label.as_str(), found.batch), (1, "layer2.0.conv1", 1), "{found}");
    assert!(found.kernel.starts_with("conv2d/forward") && found.to_string().contains("1 of "), "{found}");
    // A filter with one huge weight overflows where its products are summed or squared, not before.
    let (skipped, found) = run("layer3.1.conv2.weight", 0, 3e38);
    let found = found.expect("a sum beyond f32 is not finite");
    assert!(skipped == 1 && found.label.starts_with("layer3.1"), "{found}");
    assert!(found.inputs.iter().all(|input| input.not_finite == 0), "{found}");
    let (skipped, found) = run("fc.bias", 2, f32::INFINITY);
    assert_eq!((skipped, found.map(|f| f.label)), (1, Some("fc".to_owned())));
    let (skipped, found) = run("fc.bias", 2, 1.0);
    assert_eq!((skipped, found), (0, None), "a sound network has no such kernel");
}

/// A learning rate that is too large, with `debug_nan`: the run ends at the first non-finite update and says where it
/// began.
#[test]
fn a_run_that_diverges_names_its_kernel() {
    let Some(gpu) = support::gpu() else { return };
    let (optimizer, set) = ("sgd".into(), vec![("lr".into(), "1e30".into())]);
    let options = Options { config: tiny(), optimizer, set, epochs: 60, batch: 8, seed: 1, ..Options::default() };
    let data: Arc<dyn Dataset> = Arc::new(Shapes10::new(1, Sizes { train: 40, test: 0 }).unwrap());
    let mut trainer = crate::support::trainer(gpu, data, options, |layout| Ok(Weights::init(layout, 1))).unwrap();
    trainer.debug_nan = true;
    let error = block_on(trainer.run(&mut ())).expect_err("a rate of 1e30 diverges");
    let text = error.to_string();
    assert!(matches!(error, Error::NotFinite { .. }), "{text}");
    for part in ["update ", "is that of ", "of the update", "read `", "a smaller 'lr'"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn debug_nan_from_the_command_line() {
    if support::gpu().is_none() {
        return;
    }
    let folder = Folder::new("debug-nan");
    folder.write("data_batch_1.bin", &records(40));
    let train = ["train", "--data", ".", "--width", "4", "--batch-size", "16", "--epochs", "40", "--optimizer", "sgd"];
    let said = folder.refused(1, &[&train[..], &["--set", "lr=1e30", "--debug-nan", "--out", "run"]].concat());
    assert!(said.contains("is not finite: the first output that is not finite is that of "), "{said}");
    // In a sound run `--debug-nan` changes nothing.
    let two = ["--max-steps", "3", "--set", "lr=0.01"];
    folder.works(&[&train[..], &two, &["--debug-nan", "--out", "a"]].concat());
    folder.works(&[&train[..], &two, &["--selftest", "off", "--out", "b"]].concat());
    let weights = |run: &str| fs::read(folder.0.join(run).join("model.safetensors")).unwrap();
    assert!(weights("a") == weights("b"), "--debug-nan changes the run");
    // A weight that is not finite is refused by the name of its tensor.
    let mut bytes = weights("a");
    let table = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let names: serde_json::Value = serde_json::from_slice(&bytes[8..][..table]).unwrap();
    let at = 8 + table + names["layer1.0.conv1.weight"]["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[at..][..4].copy_from_slice(&f32::NAN.to_le_bytes());
    folder.write("nan.safetensors", &bytes);
    let said = folder.refused(1, &["train", "--data", ".", "--init", "nan.safetensors", "--out", "c"]);
    assert!(said.contains("finite values in `layer1.0.conv1.weight`, found NaN"), "{said}");
    // A finite weight that overflows is found where it does.
    bytes[at..][..4].copy_from_slice(&3.0e38_f32.to_le_bytes());
    folder.write("huge.safetensors", &bytes);
    let init = ["train", "--data", ".", "--init", "huge.safetensors", "--debug-nan", "--max-steps", "3", "--out", "d"];
    let said = folder.refused(1, &init);
    assert!(said.contains("update 1 is not finite") && said.contains(" of layer1.0."), "{said}");
}

/// A device that runs one kernel wrongly is refused with the kernel's name. One pipeline is replaced by that of another
/// constant over the same buffers, as if a driver miscompiled it.
#[test]
fn a_device_with_a_wrong_kernel_is_refused() {
    if support::gpu().is_none() {
        return;
    }
    let sound = velograd::host::device::open(None).expect("the adapter opens a second time");
    block_on(assure(&sound, &sound.target, [], "velograd", |_| true)).expect("this device is sound");
    let (rule, _) = optim::build("velograd", &[]).unwrap();
    let layout = network(&sound, &[2], |_| ()).layout.clone();
    let update = optim::record(rule.as_ref(), optim::Clip::default(), Tape::over_layout(&sound.target, &layout));
    let cases = table().into_iter().filter(|entry| entry.short).map(|entry| entry.case.recording(&sound.target));
    let mut wrong = BTreeMap::new();
    for call in cases.chain([update]).flat_map(|recording| recording.calls) {
        // Constants that are on are turned off; the other way round, a case may be one where both forms agree.
        let on = |(name, value): &(std::borrow::Cow<'_, str>, Const)| {
            ["RELU", "ACCUMULATE", "USE_LOOKAHEAD"].contains(&&**name) && *value == Const::Bool(true)
        };
        let Some(at) = call.spec.consts.iter().position(on) else { continue };
        let mut other = call.spec.clone();
        other.consts[at].1 = Const::Bool(false);
        wrong.entry(call.spec.path.clone()).or_insert((call.spec, other));
    }
    assert!(wrong.len() >= 6, "{:?}", wrong.keys());
    wrong.values().for_each(|(right, wrong)| refuses(right, wrong, "velograd"));
    println!("refused: {:?}", wrong.keys());
}

fn refuses(right: &Spec, wrong: &Spec, optimizer: &str) {
    let gpu = velograd::host::device::open(None).unwrap();
    gpu.miscompile(right, wrong);
    let error =
        block_on(assure(&gpu, &gpu.target, [], optimizer, |_| true)).expect_err(&format!("{wrong} stands for {right}"));
    let text = error.to_string();
    assert!(text.contains(&*right.path) && text.contains("velograd selftest"), "{right}: {text}");
}

/// Two runs on one device at the same time give the same bits as one alone.
#[test]
fn two_runs_at_once_do_not_meet() {
    if support::gpu().is_none() {
        return;
    }
    let folder = Folder::new("two");
    folder.write("data_batch_1.bin", &records(60));
    let start = |out: &str| {
        let flags = "train --data . --width 8 --batch-size 16 --epochs 3 --seed 4 --selftest off --out";
        let mut command = Command::new(env!("CARGO_BIN_EXE_velograd"));
        command.args(flags.split(' ')).arg(out).current_dir(&folder.0).stdout(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    let both = [start("a"), start("b")];
    for mut run in both {
        assert!(run.wait().unwrap().success());
    }
    assert!(start("alone").wait().unwrap().success());
    let weights = |run: &str| fs::read(folder.0.join(run).join("model.safetensors")).unwrap();
    assert!(weights("a") == weights("alone") && weights("b") == weights("alone"));
}
