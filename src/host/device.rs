//! Opening a device with what the machine has beside it: the environment's wishes, processor cores, a cache of pipelines.

use pollster::block_on;

use super::{cache::PipelineFiles, environment, threads::on_all_cores};
use crate::{
    device::{self, Adapter, Gpu, NO_ADAPTER, Opening, adapters},
    error::{Error, Result},
};

/// Opens an adapter, chosen as [`choose`] does, as the environment wants it.
///
/// # Errors
/// [`Error::Device`] if there is no such adapter or the driver refuses; [`Error::Config`] as [`environment::check`].
pub fn open(wanted: Option<&str>) -> Result<Gpu> {
    open_as(wanted, opening()?)
}

/// Opens an adapter, chosen likewise, in this way.
///
/// # Errors
/// As [`open`].
pub fn open_as(wanted: Option<&str>, opening: Opening) -> Result<Gpu> {
    environment::check()?;
    let few = block_on(adapters(false));
    // A name or an index that the native APIs do not have may be GL's.
    let (adapters, index) = match choose(&few, wanted) {
        Ok(index) => (few, index),
        Err(_) => {
            let every = block_on(adapters(true));
            let index = choose(&every, wanted)?;
            (every, index)
        }
    };
    block_on(Gpu::open(&adapters[index], opening))
}

/// The adapter to use: the first, or the one that `wanted` names by index or by part of its name, or where nobody does
/// `WGPU_ADAPTER_NAME`.
///
/// # Errors
/// [`Error::Device`] if there is none, with what to install or what there is to choose from.
pub fn choose(adapters: &[Adapter], wanted: Option<&str>) -> Result<usize> {
    if let (true, Some(backend)) = (adapters.is_empty(), environment::backend()) {
        let hint = format!("unset WGPU_BACKEND to look for every kind of adapter, or {NO_ADAPTER}");
        return Err(Error::device(format!("no graphics adapter was found with WGPU_BACKEND={backend}"), hint));
    }
    match (wanted, environment::adapter_name()) {
        (None, Some(name)) => device::choose(adapters, Some(&name)).map_err(|error| match error {
            Error::Device { message, hint } => Error::device(format!("WGPU_ADAPTER_NAME: {message}"), hint),
            other => other,
        }),
        _ => device::choose(adapters, wanted),
    }
}

/// How the environment wants a device to be opened: `VELOGRAD_CHECKED=1` has shaders check bounds and loops, `VELOGRAD_MATRIX=1` asks
/// for cooperative matrices.
///
/// # Errors
/// [`Error::Config`] if either is neither 1 nor 0.
pub fn opening() -> Result<Opening> {
    Ok(Opening {
        checked: environment::checked()?,
        matrices: environment::matrix()?,
        store: PipelineFiles::of_the_user().map(|files| Box::new(files) as _),
        spread: on_all_cores,
        ..Opening::default()
    })
}
