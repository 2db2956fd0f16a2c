//! The adapters of this machine: what each of them is, and which one is taken.

use std::fmt;

use serde::Serialize;

use crate::{
    error::{Error, Result},
    program::{product::Matrix, target::Target},
};

/// What to install if no adapter, or none that is fast, was found.
pub const NO_ADAPTER: &str = "install a Vulkan driver: on Debian or Ubuntu `apt-get install mesa-vulkan-drivers libvulkan1` \
                          brings one for AMD and Intel GPUs, and lavapipe, which needs no GPU";

/// The kind of hardware behind an adapter, in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU that a virtual machine provides.
    Virtual,
    /// The driver does not say, as in browsers.
    Other,
    /// No GPU: the driver computes on the processor.
    Software,
}

/// What an adapter reports about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Info {
    /// The adapter's name, which two adapters may share.
    pub name: String,
    /// The API behind it: `vulkan`, `metal`, `dx12`, `gl` or `browserwebgpu`.
    pub backend: String,
    /// What kind of machine it is.
    pub kind: DeviceKind,
    /// The driver's name and version; empty where the API does not tell.
    pub driver: String,
    /// The least and the largest number of invocations in a subgroup.
    pub subgroup: [u32; 2],
}

impl Info {
    fn new(info: &wgpu::AdapterInfo) -> Self {
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => DeviceKind::Discrete,
            wgpu::DeviceType::IntegratedGpu => DeviceKind::Integrated,
            wgpu::DeviceType::VirtualGpu => DeviceKind::Virtual,
            wgpu::DeviceType::Other => DeviceKind::Other,
            wgpu::DeviceType::Cpu => DeviceKind::Software,
        };
        Self {
            name: info.name.clone(),
            backend: format!("{:?}", info.backend).to_lowercase(),
            kind,
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            subgroup: [info.subgroup_min_size, info.subgroup_max_size],
        }
    }

    /// The adapter in one line, which distinguishes it from others of the same name: its name, API, kind and driver.
    pub fn describe(&self) -> String {
        let Self { name, backend, kind, driver, .. } = self;
        format!("{name} ({backend}, {}, driver {driver})", kind.words())
    }

    /// Whether the processor does the work. Software devices are correct but slow, and some defaults differ for them.
    pub fn is_software(&self) -> bool {
        self.kind == DeviceKind::Software
    }
}

impl DeviceKind {
    /// The kind in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Discrete => "discrete GPU",
            Self::Integrated => "integrated GPU",
            Self::Virtual => "virtual GPU",
            Self::Other => "of no known kind",
            Self::Software => "software",
        }
    }
}

impl fmt::Display for Info {
    /// The adapter's name and its driver.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.name, self.driver)
    }
}

/// What some adapters can do and others cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Features {
    /// Subgroup operations.
    pub subgroups: bool,
    /// Arithmetic in f16.
    pub f16: bool,
    /// Integers of 64 bits.
    pub int64: bool,
    /// Timestamps around passes.
    pub timestamps: bool,
    /// Timestamps between the dispatches of a pass.
    pub timestamps_in_passes: bool,
    /// Cooperative matrices: products of small matrices that a subgroup computes together.
    pub cooperative_matrices: bool,
}

/// One adapter of this machine, not opened yet.
pub struct Adapter {
    /// What it reports about itself.
    pub info: Info,
    /// What it can do.
    pub features: Features,
    pub(super) inner: wgpu::Adapter,
}

impl Adapter {
    fn new(inner: wgpu::Adapter) -> Self {
        let has = |feature| inner.features().contains(feature);
        let features = Features {
            subgroups: has(wgpu::Features::SUBGROUP),
            f16: has(wgpu::Features::SHADER_F16),
            int64: has(wgpu::Features::SHADER_INT64),
            timestamps: has(wgpu::Features::TIMESTAMP_QUERY),
            timestamps_in_passes: has(wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES),
            cooperative_matrices: has(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX),
        };
        Self { info: Info::new(&inner.get_info()), features, inner }
    }

    /// The largest limits that the adapter supports.
    pub fn limits(&self) -> wgpu::Limits {
        self.inner.limits()
    }

    /// The forms of kernels that suit the adapter.
    pub fn target(&self) -> Target {
        target(&self.info, self.features)
    }

    /// The largest cooperative matrices that `gemm_matrix` can use on this adapter, if it has any.
    pub(super) fn matrix(&self) -> Option<Matrix> {
        let ([least, most], memory) = (self.info.subgroup, self.limits().max_compute_workgroup_storage_size);
        let fixed = least == most && [8, 16, 32, 64].contains(&least);
        let Features { cooperative_matrices, f16, .. } = self.features;
        if !cooperative_matrices || !f16 || !fixed || memory < Matrix::MEMORY {
            return None;
        }
        let (half, single) = (wgpu::CooperativeScalarType::F16, wgpu::CooperativeScalarType::F32);
        let square = |p: &wgpu::CooperativeMatrixProperties| p.m_size == p.n_size && p.n_size == p.k_size;
        let all = self.inner.cooperative_matrix_properties();
        let usable = all.iter().filter(|p| square(p) && p.ab_type == half && p.cr_type == single);
        let cores = usable.map(|p| Matrix { tile: p.m_size, subgroup: least, plain: false });
        cores.filter(Matrix::divides).max_by_key(|core| core.tile)
    }
}

/// The adapters of this machine that can run compute shaders, the preferred one first.
///
/// GL is asked last and, without `every`, only if there is no other: opening it without a display is slow and
/// prints messages.
pub async fn adapters(every: bool) -> Vec<Adapter> {
    let mut adapters = of(wgpu::Backends::PRIMARY).await;
    if every || adapters.is_empty() {
        adapters.extend(of(wgpu::Backends::GL).await);
    }
    adapters
}

async fn of(backends: wgpu::Backends) -> Vec<Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.backends &= backends;
    // This flag, the only one that release builds set by default, validates indirect dispatches, which nothing here uses.
    descriptor.flags.remove(wgpu::InstanceFlags::VALIDATION_INDIRECT_CALL);
    let found = wgpu::Instance::new(descriptor).enumerate_adapters(backends).await;
    let computes =
        |a: &wgpu::Adapter| a.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS);
    let mut adapters: Vec<_> = found.into_iter().filter(computes).map(Adapter::new).collect();
    adapters.sort_by_key(|adapter| adapter.info.kind);
    adapters
}

/// The index of the adapter to use: the first, or the one that `wanted` names by index or by part of its name.
///
/// # Errors
/// [`Error::Device`] if there is none, with what to install or what there is to choose from.
pub fn choose(adapters: &[Adapter], wanted: Option<&str>) -> Result<usize> {
    if adapters.is_empty() {
        return Err(Error::device("no graphics adapter was found", NO_ADAPTER));
    }
    let Some(wanted) = wanted else { return Ok(0) };
    let named = |a: &Adapter| a.info.name.to_lowercase().contains(&wanted.to_lowercase());
    let found = match wanted.parse::<usize>() {
        _ if wanted.is_empty() => None,
        Ok(index) => (index < adapters.len()).then_some(index),
        Err(_) => adapters.iter().position(named),
    };
    found.ok_or_else(|| {
        let of = |(i, a): (usize, &Adapter)| format!("{i}: {}", a.info.describe());
        let list: Vec<String> = adapters.iter().enumerate().map(of).collect();
        Error::device(format!("no adapter is called `{wanted}`"), format!("there is {}", list.join("\n  or ")))
    })
}

/// The forms of kernels for an adapter that was opened with these features.
pub(super) fn target(info: &Info, features: Features) -> Target {
    let units = match info.kind {
        DeviceKind::Software => 1,
        DeviceKind::Discrete => 256,
        DeviceKind::Integrated => 32,
        DeviceKind::Virtual | DeviceKind::Other => 64,
    };
    match fixed_subgroup(info, features.subgroups) {
        Some(size) if info.is_software() => Target { wide: features.int64, ..Target::software(size) },
        _ => Target { units, ..Target::portable() },
    }
}

/// The device's subgroup size, if it is fixed and one that the subgroup core is made for: the core's accumulators grow
/// with the square of the size.
pub fn fixed_subgroup(info: &Info, subgroups: bool) -> Option<u32> {
    let [size, most] = info.subgroup;
    (subgroups && size == most && [4, 8, 16].contains(&size)).then_some(size)
}
