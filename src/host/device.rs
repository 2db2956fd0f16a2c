//! Opens a device with what only a host has: environment variables, threads and a pipeline cache on disk.

use pollster::block_on;

use super::{cache::PipelineFiles, environment, ranks::Launched, threads::on_all_cores};
use crate::{
    device::{self, Adapter, Gpu, Info, NO_ADAPTER, Opening, adapters},
    error::{Error, Result},
};

/// Opens the adapter that [`choose`] selects, with the options that the environment sets ([`opening`]).
///
/// # Errors
/// [`Error::Device`] if there is no such adapter or the driver refuses; [`Error::Config`] as [`environment::check`].
pub fn open(wanted: Option<&str>) -> Result<Gpu> {
    open_as(wanted, opening()?)
}

/// [`open`] with these options instead of the environment's.
///
/// # Errors
/// As [`open`].
pub fn open_as(wanted: Option<&str>, opening: Opening) -> Result<Gpu> {
    environment::check()?;
    let few = block_on(adapters(false));
    // OpenGL's adapters, in a build that has them, are enumerated only if no other adapter fits, since that is slow.
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

/// [`open`] for one of several ranks: `wanted` may name an adapter for each rank of this machine, with commas. Ranks that share a
/// name, or for which none is named, take turns among the adapters that are like the one they would all have.
///
/// # Errors
/// As [`open`], and [`Error::Config`] if adapters are named for fewer ranks than there are.
pub fn open_of_rank(wanted: Option<&str>, launched: &Launched) -> Result<Gpu> {
    let local = launched.local;
    if !launched.rank.has_others() {
        return open(wanted);
    }
    if let Some(names) = wanted.filter(|names| names.contains(',')).map(|names| names.split(',').collect::<Vec<_>>()) {
        let Some(name) = names.get(local.index) else {
            let message = format!("'device' names {} adapters, and this machine has {} ranks", names.len(), local.of);
            return Err(Error::about("device", message, "name one for each rank, or none"));
        };
        return open(Some(name.trim()));
    }
    environment::check()?;
    let adapters = block_on(adapters(true));
    let of = |info: &Info| (info.name.clone(), info.backend.clone(), info.driver.clone());
    let chosen = of(&adapters[choose(&adapters, wanted)?].info);
    let alike: Vec<_> = adapters.iter().filter(|adapter| of(&adapter.info) == chosen).collect();
    block_on(Gpu::open(alike[local.index % alike.len()], opening()?))
}

/// The index of the adapter to use: the one that `wanted` names by its index or a part of its name, else the one that
/// `WGPU_ADAPTER_NAME` names, else the first.
///
/// # Errors
/// [`Error::Device`] if there is no such adapter, with what to install or what there is to choose from.
pub fn choose(adapters: &[Adapter], wanted: Option<&str>) -> Result<usize> {
    if let (true, Some(backend)) = (adapters.is_empty(), environment::backend()) {
        let opengl = if cfg!(feature = "gles") { "" } else { " (OpenGL needs a build with the feature gles)" };
        let hint = format!("unset WGPU_BACKEND to look for every kind of adapter{opengl}, or {NO_ADAPTER}");
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

/// The options that the environment sets: `VELOGRAD_CHECKED=1` has shaders check array bounds and bound loops,
/// `VELOGRAD_PORTABLE=1` restricts it to what browsers have, `VELOGRAD_MATRIX=1` requests cooperative matrices.
///
/// # Errors
/// [`Error::Config`] if one of the variables is set to something other than 0 or 1.
pub fn opening() -> Result<Opening> {
    Ok(Opening {
        checked: environment::checked()?,
        portable: environment::portable()?,
        matrices: environment::matrix()?,
        store: PipelineFiles::of_the_user().map(|files| Box::new(files) as _),
        spread: on_all_cores,
        ..Opening::default()
    })
}
