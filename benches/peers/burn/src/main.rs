//! Trains burn's ResNet-18 on images of 32x32, as the third peer in `train_step.py`. Prints one line of JSON.

mod resnet;

use std::{
    io::stdin,
    path::{Path, PathBuf},
    time::Instant,
};

use burn::{
    module::{Module, ModuleVisitor, Param},
    nn::loss::CrossEntropyLossConfig,
    optim::{AdamConfig, GradientsParams, ModuleOptimizer, decay::WeightDecayConfig},
    store::{ModuleSnapshot as _, ModuleStore as _, PyTorchToBurnAdapter, SafetensorsStore, bridge},
    tensor::{
        Device, DeviceKind, Distribution, Int, Tensor, TensorData,
        wgpu::{WgpuBackend, wgpu::Backend},
    },
};
use clap::{Parser, ValueEnum};
use resnet::{ResNet, Stem};
use serde_json::json;

#[derive(Parser)]
struct Arguments {
    #[arg(long, value_enum, default_value = "wgpu")]
    backend: On,
    #[arg(long, value_enum, default_value = "imagenet")]
    stem: Stem,
    #[arg(long, default_value_t = 128)]
    batch_size: usize,
    /// Updates before the timing: the first ones compile kernels and try which is the fastest
    #[arg(long, default_value_t = 5)]
    warmup: usize,
    #[arg(long, default_value_t = 5)]
    steps: usize,
    /// safetensors with the network by torchvision's names, `images` [n, 3, 32, 32] and `labels` [n], both f32
    #[arg(long)]
    from: Option<PathBuf>,
    /// Stay, and time once more for each line of standard input
    #[arg(long)]
    serve: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum On {
    /// wgpu, on Vulkan
    Wgpu,
    /// flex, on the processor
    Flex,
}

/// The batch, which is trained on again and again.
struct Fixed {
    images: Tensor<4>,
    labels: Tensor<1, Int>,
}

struct Trainer {
    model: ResNet,
    optimizer: ModuleOptimizer,
    batch: Fixed,
}

impl Trainer {
    /// Makes one update; returns the loss before it, without waiting for it.
    fn step(&mut self) -> Tensor<1> {
        let Fixed { images, labels } = &self.batch;
        let logits = self.model.forward(images.clone());
        let loss = CrossEntropyLossConfig::new().init(&images.device()).forward(logits, labels.clone());
        let grads = GradientsParams::from_grads(loss.backward(), &self.model);
        self.model = self.optimizer.step(1e-3, self.model.clone(), grads);
        loss
    }
}

fn main() {
    let arguments = Arguments::parse();
    let (device, name) = open(arguments.backend);
    let mut model = ResNet::new(arguments.stem, &device);
    let mut parameters = Count(0);
    model.visit(&mut parameters);
    let batch = match &arguments.from {
        Some(path) => load(path, &mut model, &device),
        None => Fixed {
            images: Tensor::random([arguments.batch_size, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device),
            labels: Tensor::<1, Int>::arange(0..arguments.batch_size as i64, &device).remainder_scalar(10),
        },
    };
    let images = batch.images.dims()[0];
    // torch.optim.Adam's constants in train_step.py; burn's own epsilon is 1e-5.
    let decay = Some(WeightDecayConfig::new(1e-4));
    let optimizer = AdamConfig::new().with_epsilon(1e-8).with_weight_decay(decay).init();
    let mut trainer = Trainer { model, optimizer, batch };

    let mut losses = Vec::new();
    let mut warmup = Vec::new();
    for update in 1..=arguments.warmup {
        let start = Instant::now();
        losses.push(trainer.step().into_scalar::<f32>());
        device.sync().expect("the device to finish");
        warmup.push(1e3 * start.elapsed().as_secs_f64());
        // The first one may take many minutes on a software device.
        eprintln!("{name}: update {update} of {}, {:.0} ms", arguments.warmup, warmup[update - 1]);
    }
    let mut time = || {
        let start = Instant::now();
        for _ in 0..arguments.steps {
            trainer.step();
        }
        device.sync().expect("the device to finish");
        let step = start.elapsed().as_secs_f64() / arguments.steps as f64;
        let row = json!({
            "device": name,
            "stem": arguments.stem.to_possible_value().map(|v| v.get_name().to_owned()),
            "batch": images,
            "parameters": parameters.0,
            "losses": losses,
            "ms_warmup": warmup,
            "steps": arguments.steps,
            "ms_per_step": 1e3 * step,
            "images_per_second": images as f64 / step,
            "reserved_device_bytes": device.memory_pool_usage().map(|usage| usage.bytes_reserved),
            "peak_host_bytes": peak_host_bytes(),
        });
        println!("{row}");
    };
    time();
    if arguments.serve {
        stdin().lines().for_each(|_| time());
    }
}

/// Counts trainable parameters, since burn counts running statistics too.
struct Count(usize);

impl ModuleVisitor for Count {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.0 += param.dims().iter().product::<usize>();
        }
    }
}

/// The device, with autodiff, and its name.
fn open(backend: On) -> (Device, String) {
    match backend {
        On::Wgpu => {
            let options =
                Device::wgpu_options().device_kind(DeviceKind::DefaultDevice).graphics_api(WgpuBackend::Vulkan);
            let (device, setup) = options.init_with_setup().expect("an adapter for Vulkan");
            let info = setup.adapter.get_info();
            assert_eq!(info.backend, Backend::Vulkan, "wgpu's backend");
            let compiler = if cfg!(feature = "spirv") { "SPIR-V" } else { "WGSL" };
            (device.autodiff(), format!("wgpu ({compiler}), {}", info.name))
        }
        On::Flex => (Device::flex().autodiff(), "flex".into()),
    }
}

/// Loads the network's weights into `model`; returns the batch.
fn load(path: &Path, model: &mut ResNet, device: &Device) -> Fixed {
    let mut store = SafetensorsStore::from_file(path)
        .with_from_adapter(PyTorchToBurnAdapter)
        .with_key_remapping(r"downsample\.0\.", "downsample.conv.")
        .with_key_remapping(r"downsample\.1\.", "downsample.bn.");
    let result = model.load_from(&mut store).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(result.missing.is_empty(), "{} lacks {:?}", path.display(), result.missing);
    let mut tensor = |name: &str| -> TensorData {
        let packed = store.get_tensor(name).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let packed = packed.unwrap_or_else(|| panic!("{} has no {name}", path.display()));
        bridge::to_data(packed).unwrap_or_else(|e| panic!("{}: {name}: {e}", path.display()))
    };
    let images = Tensor::from_data(tensor("images"), device);
    let labels = Tensor::<1>::from_data(tensor("labels"), device).int();
    Fixed { images, labels }
}

/// The largest resident memory that this process ever had, in bytes, where the system reports it (Linux).
fn peak_host_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
