//! Opening a device with what the machine has beside it: the environment's wishes, processor cores, a cache of pipelines.

use std::env;

use pollster::block_on;

use super::{cache::PipelineFiles, threads::on_all_cores};
use crate::{
    device::{Gpu, Opening, adapters, choose},
    error::Result,
};

/// Opens an adapter, chosen by index or by part of its name as [`choose`] does, as the environment wants it.
///
/// # Errors
/// [`Error::Device`](crate::error::Error::Device) if there is no such adapter or the driver refuses.
pub fn open(wanted: Option<&str>) -> Result<Gpu> {
    open_as(wanted, opening())
}

/// Opens an adapter, chosen likewise, in this way.
///
/// # Errors
/// As [`open`].
pub fn open_as(wanted: Option<&str>, opening: Opening) -> Result<Gpu> {
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

/// How the environment wants a device to be opened: `VELOGRAD_CHECKED=1` has shaders check bounds and loops, `VELOGRAD_MATRIX=1` asks
/// for cooperative matrices.
pub fn opening() -> Opening {
    let is_on = |name: &str| env::var(name).is_ok_and(|value| value == "1");
    Opening {
        checked: is_on("VELOGRAD_CHECKED"),
        matrices: is_on("VELOGRAD_MATRIX"),
        store: PipelineFiles::of_the_user().map(|files| Box::new(files) as _),
        spread: on_all_cores,
        ..Opening::default()
    }
}
