//! The device: which adapter, opened how, and the pipelines made on it so far.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::{kernel::Kernel, unchecked::experimental};
use crate::{
    error::{Error, Result},
    host::cache::Cache,
    program::{
        shader::Spec,
        target::{Matrix, Precision, Target},
    },
};

/// An open device.
pub struct Gpu {
    /// Name, backend, driver.
    pub info: wgpu::AdapterInfo,
    /// wgpu's device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    /// Which kernel forms it runs.
    pub target: Target,
    /// Cooperative matrices that it could run, if `VELOGRAD_MATRIX=1` asked for them; [`crate::check::cooperative::adopt`] decides.
    pub matrix: Option<Matrix>,
    /// Shaders check bounds and loops (`VELOGRAD_CHECKED=1`).
    pub checked: bool,
    pub(super) kernels: Mutex<HashMap<Spec, Arc<Kernel>>>,
    pub(super) cache: Option<Cache>,
    compiling: OnceLock<Compiling>,
    faults: Arc<Mutex<Vec<Fault>>>,
}

/// Who is told of compiled kernels: how many of how many.
type Compiling = Box<dyn Fn(usize, usize) + Send + Sync>;

/// Threads that compile at most: drivers gain little from more.
const COMPILERS: usize = 8;

struct Fault {
    text: String,
    hint: &'static str,
    lost: bool,
}

impl Fault {
    fn new(error: &wgpu::Error) -> Self {
        let hint = match error {
            wgpu::Error::OutOfMemory { .. } => "a smaller --batch-size or --width needs less memory",
            _ => REPORT,
        };
        Self { text: error.to_string(), hint, lost: false }
    }
}

/// For a device that was taken away. A driver does not say why; these are the reasons there are.
const LOST: &str = "the driver was reset, the device was unplugged or suspended, or a dispatch took too long (Windows ends \
                    those of more than two seconds, see TdrDelay); a smaller --batch-size makes them shorter, and \
                    `velograd selftest` tells whether the device is sound";

/// For what a sound program on a sound driver does not do.
const REPORT: &str =
    "this is a fault of velograd or of the driver: please report it, with what `velograd devices` prints";

/// What to install where no adapter, or none of the fast kind, was found.
pub const NO_ADAPTER: &str = "install a Vulkan driver: on Debian or Ubuntu `apt-get install mesa-vulkan-drivers libvulkan1` \
                          brings one for AMD and Intel GPUs, and lavapipe, which needs no GPU";

/// What is used where a device has it.
pub const FEATURES: wgpu::Features = wgpu::Features::SUBGROUP
    .union(wgpu::Features::SHADER_F16)
    .union(wgpu::Features::PIPELINE_CACHE)
    .union(wgpu::Features::TIMESTAMP_QUERY)
    .union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS)
    .union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES);

/// The adapters of this machine that compute, the one that would be chosen first.
///
/// GL is asked last and, without `every`, only where there is nothing else: opening it without a display is slow and
/// prints remarks of its own.
pub fn adapters(every: bool) -> Vec<wgpu::Adapter> {
    let of = |backends: wgpu::Backends| {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        descriptor.backends &= backends;
        // In release builds wgpu validates indirect dispatches alone, which nothing here uses.
        descriptor.flags.remove(wgpu::InstanceFlags::VALIDATION_INDIRECT_CALL);
        let mut adapters = pollster::block_on(wgpu::Instance::new(descriptor).enumerate_adapters(backends));
        adapters.retain(|a| a.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS));
        adapters.sort_by_key(|a| rank(&a.get_info()));
        adapters
    };
    let mut adapters = of(wgpu::Backends::PRIMARY);
    if every || adapters.is_empty() {
        adapters.extend(of(wgpu::Backends::GL));
    }
    adapters
}

/// Discrete before integrated before the rest before software.
fn rank(info: &wgpu::AdapterInfo) -> u8 {
    match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

/// The adapter to use: the first, or the one `wanted` names by index or by part of its name.
///
/// # Errors
/// [`Error::Device`] if there is none, with what to install or what there is to choose from.
pub fn choose(adapters: &[wgpu::Adapter], wanted: Option<&str>) -> Result<usize> {
    if adapters.is_empty() {
        return Err(Error::device("no graphics adapter was found", NO_ADAPTER));
    }
    let Some(wanted) = wanted else { return Ok(0) };
    let name = |a: &wgpu::Adapter| a.get_info().name;
    let found = match wanted.parse::<usize>() {
        _ if wanted.is_empty() => None,
        Ok(index) => (index < adapters.len()).then_some(index),
        Err(_) => adapters.iter().position(|a| name(a).to_lowercase().contains(&wanted.to_lowercase())),
    };
    found.ok_or_else(|| {
        let list: Vec<String> = adapters
            .iter()
            .enumerate()
            .map(|(i, a)| format!("{i}: {} ({:?})", name(a), a.get_info().backend))
            .collect();
        Error::device(format!("no adapter is called `{wanted}`"), format!("there is {}", list.join(", ")))
    })
}

/// Software devices are correct and slow; some defaults differ there.
pub fn is_software(info: &wgpu::AdapterInfo) -> bool {
    info.device_type == wgpu::DeviceType::Cpu
}

/// Name and version of an adapter's driver.
pub fn driver(info: &wgpu::AdapterInfo) -> String {
    format!("{} {}", info.driver, info.driver_info).trim().to_owned()
}

impl fmt::Display for Gpu {
    /// The device's name and its driver.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.info.name, self.driver())
    }
}

impl Gpu {
    /// Opens an adapter, chosen as [`choose`] does.
    ///
    /// # Errors
    /// [`Error::Device`] if there is no such adapter or the driver refuses.
    pub fn open(wanted: Option<&str>) -> Result<Self> {
        let few = adapters(false);
        // A name or an index that the native APIs do not have may be GL's.
        let (adapters, index) = match choose(&few, wanted) {
            Ok(index) => (few, index),
            Err(_) => {
                let every = adapters(true);
                let index = choose(&every, wanted)?;
                (every, index)
            }
        };
        Self::open_adapter(&adapters[index])
    }

    /// Opens this adapter with all its limits, and what it has of [`FEATURES`].
    ///
    /// # Errors
    /// [`Error::Device`] if the driver refuses.
    pub fn open_adapter(adapter: &wgpu::Adapter) -> Result<Self> {
        let asked = std::env::var("VELOGRAD_MATRIX").is_ok_and(|v| v == "1");
        let matrix = Matrix::of(adapter).filter(|_| asked);
        let mut features = adapter.features() & FEATURES;
        features.set(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX, matrix.is_some());
        Ok(Self { matrix, ..Self::open_with(adapter, features)? })
    }

    /// Opens this adapter with all its limits and these features, as if it had no others.
    ///
    /// # Errors
    /// [`Error::Device`] if the driver refuses.
    pub fn open_with(adapter: &wgpu::Adapter, features: wgpu::Features) -> Result<Self> {
        let info = adapter.get_info();
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("velograd"),
            required_features: features,
            required_limits: adapter.limits(),
            // Buffers are made once and live as long as the run: nothing is gained by generous blocks.
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            experimental_features: experimental(features),
            ..Default::default()
        }))
        .map_err(|e| Error::device(format!("{} cannot be opened: {e}", info.name), ""))?;
        let faults = Arc::new(Mutex::new(Vec::new()));
        let (lost, fault) = (faults.clone(), faults.clone());
        device.set_device_lost_callback(move |_, message| {
            // Before the others: that a buffer of a lost device is gone tells nobody anything.
            let fault = Fault { text: format!("the device was lost: {message}"), hint: LOST, lost: true };
            lost.lock().unwrap_or_else(|e| e.into_inner()).insert(0, fault);
        });
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            fault.lock().unwrap_or_else(|e| e.into_inner()).push(Fault::new(&error));
        }));
        let target = Target::of(&info, features);
        let checked = std::env::var("VELOGRAD_CHECKED").is_ok_and(|v| v == "1");
        let cache = Cache::open(&device, &info);
        let (kernels, compiling) = (Mutex::default(), OnceLock::new());
        Ok(Self { info, device, queue, target, matrix: None, checked, kernels, cache, compiling, faults })
    }

    /// Has `told` hear how many kernels of how many have been compiled, whenever several are. Only the first call counts.
    pub fn on_compile(&self, told: impl Fn(usize, usize) + Send + Sync + 'static) {
        let _ = self.compiling.set(Box::new(told));
    }

    /// Makes the pipelines of all specs, several at a time; what is there already is kept.
    pub fn compile<'s>(&self, specs: impl IntoIterator<Item = &'s Spec>) {
        let kernels = || self.kernels.lock().unwrap_or_else(|e| e.into_inner());
        // Kernels of rules from outside come and go: those that nothing uses any more are not kept.
        kernels().retain(|spec, kernel| !spec.is_foreign() || Arc::strong_count(kernel) > 1);
        let mut missing: Vec<&Spec> = Vec::new();
        for spec in specs {
            if !kernels().contains_key(spec) && !missing.contains(&spec) {
                missing.push(spec);
            }
        }
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = || {
            while let Some(&spec) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                let kernel = Arc::new(Kernel::new(self, spec));
                kernels().insert(spec.clone(), kernel);
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                if let Some(told) = self.compiling.get() {
                    told(done, missing.len());
                }
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from).min(COMPILERS).min(missing.len());
        thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
        if let (Some(cache), false) = (&self.cache, missing.is_empty()) {
            cache.save();
        }
    }

    /// The pipeline of a spec, made at its first use.
    pub fn kernel(&self, spec: &Spec) -> Arc<Kernel> {
        let mut kernels = self.kernels.lock().unwrap_or_else(|e| e.into_inner());
        kernels.entry(spec.clone()).or_insert_with(|| Arc::new(Kernel::new(self, spec))).clone()
    }

    /// How many kernels are kept.
    pub fn kernels(&self) -> usize {
        self.kernels.lock().unwrap_or_else(|e| e.into_inner()).len()
    }

    /// The kernels of this device over activations of this precision.
    ///
    /// # Errors
    /// [`Error::Device`] if its shaders have no f16 and the precision needs it.
    pub fn target_for(&self, precision: Precision) -> Result<Target> {
        if precision == Precision::Mixed && !self.has_f16() {
            let message = format!("{}: its shaders have no f16, which mixed precision needs", self.info.name);
            return Err(Error::device(message, "--precision f32"));
        }
        Ok(self.target.with(precision))
    }

    /// Name and version of the driver.
    pub fn driver(&self) -> String {
        driver(&self.info)
    }

    /// Whether shaders compute with f16.
    pub fn has_f16(&self) -> bool {
        self.device.features().contains(wgpu::Features::SHADER_F16)
    }

    /// Runs `wrong` wherever `spec` is asked for, as a driver would that compiles it wrong: for the tests that this is noticed.
    pub fn miscompile(&self, spec: &Spec, wrong: &Spec) {
        let wrong = self.kernel(wrong);
        self.kernels.lock().unwrap_or_else(|e| e.into_inner()).insert(spec.clone(), wrong);
    }

    /// Waits for everything submitted.
    ///
    /// # Errors
    /// As [`Gpu::check`].
    pub fn wait(&self) -> Result<()> {
        let polled = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.check()?;
        polled.map(drop).map_err(|e| self.behind(format!("waiting failed: {e}")))
    }

    /// The fault behind something that failed: that the device is gone is heard of when it is asked the next time.
    pub(crate) fn behind(&self, failed: String) -> Error {
        let _ = self.device.poll(wgpu::PollType::Poll);
        match self.check() {
            Err(fault) => fault,
            Ok(()) => Error::device(format!("{}: {failed}", self.info.name), ""),
        }
    }

    /// The content of a buffer that was mapped for reading and waited for.
    pub(crate) fn mapped(&self, buffer: &wgpu::Buffer) -> Result<wgpu::BufferView> {
        buffer.slice(..).get_mapped_range().map_err(|e| self.behind(format!("reading back failed: {e}")))
    }

    /// Whether the device has reported a fault since it was opened.
    ///
    /// # Errors
    /// [`Error::Lost`] if the device is gone, [`Error::Device`] with what the driver or wgpu said first.
    pub fn check(&self) -> Result<()> {
        match self.faults.lock().unwrap_or_else(|e| e.into_inner()).first() {
            None => Ok(()),
            Some(Fault { text, hint, lost }) => {
                let (message, hint) = (format!("{}: {text}", self.info.name), (*hint).to_owned());
                Err(if *lost { Error::Lost { message, hint } } else { Error::Device { message, hint } })
            }
        }
    }

    /// Bytes that the driver's allocator has handed out, where the backend can tell.
    pub fn allocated_bytes(&self) -> Option<u64> {
        self.device.generate_allocator_report().map(|r| r.total_allocated_bytes)
    }
}
