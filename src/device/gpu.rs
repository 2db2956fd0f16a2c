//! An open device: its queue, the pipelines made on it so far, and what has gone wrong on it.

use std::{
    collections::HashMap,
    fmt,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    adapter::{Adapter, Features, Info, target},
    kernel::Kernel,
    unchecked::{experimental, pipeline_cache},
};
use crate::{
    error::{Error, Result},
    parallel::{Spread, alone},
    program::{
        product::Matrix,
        shader::Spec,
        target::{Precision, Target},
    },
};

/// How a device is opened.
pub struct Opening {
    /// Whether shaders check bounds and loops at run time, which makes kernels up to ten times slower.
    pub checked: bool,
    /// Whether to use f16 in shaders if the adapter supports it.
    pub f16: bool,
    /// Whether to use only what every WebGPU device has, browsers included: no subgroups and no cooperative matrices, so that all
    /// kernels are those of [`Target::portable`].
    pub portable: bool,
    /// Whether to ask for cooperative matrices; [`crate::check::cooperative::judge`] decides whether they are used.
    pub matrices: bool,
    /// Where the driver's compiled pipelines are kept from one start to the next.
    pub store: Option<Box<dyn PipelineStore>>,
    /// How the compilation of kernels is spread over threads.
    pub spread: Spread,
}

impl Default for Opening {
    /// No run-time checks, f16, subgroups, no cooperative matrices, no store, and one kernel compiled after the other.
    fn default() -> Self {
        Self { checked: false, f16: true, portable: false, matrices: false, store: None, spread: alone }
    }
}

/// Keeps what a driver has compiled, so that the next start need not compile it again. Only Vulkan provides such data.
pub trait PipelineStore: Send + Sync {
    /// What was kept under this key, exactly as it was saved; `None` if nothing was, or if it is damaged.
    fn load(&self, key: &str) -> Option<Vec<u8>>;
    /// Keeps the driver's data. Failures are ignored, since they only make the next start slower.
    fn save(&self, key: &str, data: &[u8]);
}

/// An open device. Clones are handles of the same device.
#[derive(Clone)]
pub struct Gpu(Arc<Shared>);

/// What the handles of a device share.
pub struct Shared {
    /// Name, backend, driver.
    pub info: Info,
    /// The features in use.
    pub features: Features,
    /// wgpu's device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    /// Which forms of kernels suit it.
    pub target: Target,
    /// The cooperative matrices that it can run, if they were asked for.
    pub matrix: Option<Matrix>,
    /// Whether shaders check bounds and loops.
    pub checked: bool,
    kernels: Mutex<HashMap<Spec, Arc<Kernel>>>,
    cache: Option<Cache>,
    spread: Spread,
    compiling: OnceLock<Compiling>,
    faults: Arc<Mutex<Vec<Fault>>>,
}

impl Deref for Gpu {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// A listener that is told how many kernels have been compiled, and of how many.
type Compiling = Box<dyn Fn(usize, usize) + Send + Sync>;

/// The most kernels that are compiled at a time: drivers gain little from more.
const COMPILERS: usize = 8;

/// The driver's pipeline cache, and the store that keeps its data.
struct Cache {
    pipelines: wgpu::PipelineCache,
    store: Box<dyn PipelineStore>,
    key: String,
    /// Bytes that the store holds already.
    saved: AtomicUsize,
}

impl Cache {
    fn new(device: &wgpu::Device, info: &wgpu::AdapterInfo, store: Box<dyn PipelineStore>) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        // The driver's version is part of the key, so that an updated driver does not start from data that it would
        // reject.
        let driver = crc32fast::hash(format!("{} {}", info.driver, info.driver_info).trim().as_bytes());
        let key = format!("{}_{driver:08x}", wgpu::util::pipeline_cache_key(info)?);
        let data = store.load(&key);
        let saved = AtomicUsize::new(data.as_ref().map_or(0, Vec::len));
        Some(Self { pipelines: pipeline_cache(device, data.as_deref()), store, key, saved })
    }

    /// Hands the data to the store if there are more than it holds.
    fn save(&self) {
        let Some(data) = self.pipelines.get_data() else { return };
        if data.len() > self.saved.swap(data.len(), Ordering::Relaxed) {
            self.store.save(&self.key, &data);
        }
    }
}

struct Fault {
    text: String,
    hint: &'static str,
    lost: bool,
}

impl Fault {
    fn new(error: &wgpu::Error) -> Self {
        let hint = match error {
            wgpu::Error::OutOfMemory { .. } => "a smaller 'batch_size' or 'width' needs less memory",
            _ => REPORT,
        };
        Self { text: error.to_string(), hint, lost: false }
    }
}

/// The hint for a lost device. Drivers give no reason; these are the possible ones.
const LOST: &str = "the driver was reset, the device was unplugged or suspended, or a dispatch took too long (Windows ends \
                    those of more than two seconds, see TdrDelay); a smaller 'batch_size' makes them shorter, and \
                    `velograd selftest` tells whether the device is sound";

/// The hint for errors that no correct program causes on a correct driver.
const REPORT: &str =
    "this is a fault of velograd or of the driver: please report it, with what `velograd devices` prints";

/// Features that are used if a device has them.
const USED: wgpu::Features = wgpu::Features::SUBGROUP
    .union(wgpu::Features::SHADER_F16)
    .union(wgpu::Features::SHADER_INT64)
    .union(wgpu::Features::PIPELINE_CACHE)
    .union(wgpu::Features::TIMESTAMP_QUERY)
    .union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_ENCODERS)
    .union(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES);

impl fmt::Display for Gpu {
    /// The device's name and its driver.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.info.fmt(f)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gpu {
    /// Opens an adapter with its largest limits, and with those of the features used here that it has.
    ///
    /// # Errors
    /// [`Error::Device`] if the driver refuses.
    pub async fn open(adapter: &Adapter, opening: Opening) -> Result<Self> {
        let Opening { checked, f16, portable, matrices, store, spread } = opening;
        let matrix = adapter.matrix().filter(|_| matrices && f16 && !portable);
        let mut used = adapter.inner.features() & USED;
        if !f16 {
            used.remove(wgpu::Features::SHADER_F16);
        }
        if portable {
            used.remove(wgpu::Features::SUBGROUP.union(wgpu::Features::SHADER_INT64));
        }
        used.set(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX, matrix.is_some());
        let features = Features {
            subgroups: adapter.features.subgroups && !portable,
            f16: f16 && adapter.features.f16,
            int64: adapter.features.int64 && !portable,
            cooperative_matrices: matrix.is_some(),
            ..adapter.features
        };
        let info = adapter.info.clone();
        let (device, queue) = adapter
            .inner
            .request_device(&wgpu::DeviceDescriptor {
                label: Some("velograd"),
                required_features: used,
                required_limits: adapter.limits(),
                // Buffers are created once and live as long as the run, so allocating memory in large blocks would gain
                // nothing.
                memory_hints: wgpu::MemoryHints::MemoryUsage,
                experimental_features: experimental(used),
                ..Default::default()
            })
            .await
            .map_err(|e| Error::device(format!("{} cannot be opened: {e}", info.name), ""))?;
        let faults = Arc::new(Mutex::new(Vec::new()));
        let (lost, fault) = (faults.clone(), faults.clone());
        device.set_device_lost_callback(move |_, message| {
            // The loss comes before other faults, since those only say that buffers of the lost device are gone.
            let fault = Fault { text: format!("the device was lost: {message}"), hint: LOST, lost: true };
            locked(&lost).insert(0, fault);
        });
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| locked(&fault).push(Fault::new(&error))));
        let target = target(&info, features);
        let cache = store.and_then(|store| Cache::new(&device, &adapter.inner.get_info(), store));
        let (kernels, compiling) = (Mutex::default(), OnceLock::new());
        let shared = Shared {
            info,
            features,
            device,
            queue,
            target,
            matrix,
            checked,
            kernels,
            cache,
            spread,
            compiling,
            faults,
        };
        Ok(Self(Arc::new(shared)))
    }

    /// Sets the listener that is told, while kernels are compiled, how many are done and of how many. Only the first
    /// call counts.
    pub fn on_compile(&self, listener: impl Fn(usize, usize) + Send + Sync + 'static) {
        let _ = self.compiling.set(Box::new(listener));
    }

    /// Creates the missing pipelines of these specs, several at a time.
    pub fn compile<'s>(&self, specs: impl IntoIterator<Item = &'s Spec>) {
        // Kernels of rules from outside are dropped once nothing uses them, since there is no end to such rules.
        locked(&self.kernels).retain(|spec, kernel| !spec.is_foreign() || Arc::strong_count(kernel) > 1);
        let mut missing: Vec<&Spec> = Vec::new();
        for spec in specs {
            if !locked(&self.kernels).contains_key(spec) && !missing.contains(&spec) {
                missing.push(spec);
            }
        }
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = || {
            while let Some(&spec) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                let kernel = Arc::new(self.make(spec));
                locked(&self.kernels).insert(spec.clone(), kernel);
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                if let Some(listener) = self.compiling.get() {
                    listener(done, missing.len());
                }
            }
        };
        (self.spread)(COMPILERS.min(missing.len()), &work);
        if let (Some(cache), false) = (&self.cache, missing.is_empty()) {
            cache.save();
        }
    }

    fn make(&self, spec: &Spec) -> Kernel {
        Kernel::new(&self.device, self.checked, self.cache.as_ref().map(|cache| &cache.pipelines), spec)
    }

    /// The pipeline of a spec, created at its first use.
    pub fn kernel(&self, spec: &Spec) -> Arc<Kernel> {
        locked(&self.kernels).entry(spec.clone()).or_insert_with(|| Arc::new(self.make(spec))).clone()
    }

    /// How many kernels are kept.
    pub fn kernels(&self) -> usize {
        locked(&self.kernels).len()
    }

    /// Checks that this device can run in a precision.
    ///
    /// # Errors
    /// [`Error::Device`] if its shaders have no f16 and the precision needs it.
    pub fn supports(&self, precision: Precision) -> Result<()> {
        if precision == Precision::Mixed && !self.features.f16 {
            let message = format!("{}: its shaders have no f16, which mixed precision needs", self.info.name);
            return Err(Error::device(message, "'precision' f32 needs no f16"));
        }
        Ok(())
    }

    /// Runs `wrong` wherever `spec` is asked for, as a faulty driver would, for tests that such a fault is noticed.
    pub fn miscompile(&self, spec: &Spec, wrong: &Spec) {
        let wrong = self.kernel(wrong);
        locked(&self.kernels).insert(spec.clone(), wrong);
    }

    /// The fault behind a failed operation: the loss of a device is only reported when the device is polled.
    pub(super) fn behind(&self, failed: String) -> Error {
        let _ = self.device.poll(wgpu::PollType::Poll);
        match self.check() {
            Err(fault) => fault,
            Ok(()) => Error::device(format!("{}: {failed}", self.info.name), ""),
        }
    }

    /// Checks that the device has reported no fault since it was opened.
    ///
    /// # Errors
    /// [`Error::Lost`] if the device is gone, [`Error::Device`] with what the driver or wgpu said first.
    pub fn check(&self) -> Result<()> {
        match locked(&self.faults).first() {
            None => Ok(()),
            Some(Fault { text, hint, lost }) => {
                let (message, hint) = (format!("{}: {text}", self.info.name), (*hint).to_owned());
                Err(if *lost { Error::Lost { message, hint } } else { Error::Device { message, hint } })
            }
        }
    }

    /// Bytes that the driver's allocator has handed out, if the backend reports them.
    pub fn allocated_bytes(&self) -> Option<u64> {
        self.device.generate_allocator_report().map(|r| r.total_allocated_bytes)
    }
}
