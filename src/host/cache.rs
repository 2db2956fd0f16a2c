//! The driver's compiled pipelines on disk, so that the next start need not compile them again.
//!
//! One file per device and driver in the user's cache folder (`VELOGRAD_CACHE=DIR` names another, `off` none). It is the
//! driver's own data behind a checksum; what is torn, changed or of another driver is left alone and made anew. Vulkan
//! alone has such caches. Nothing depends on the file but the time to the first step.

use std::{
    env, fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::device::pipeline_cache;
use crate::host::files::write_atomically;

/// Begins the file; the number changes with its form.
const MAGIC: &[u8; 8] = b"velograd";
const VERSION: u32 = 1;
const HEADER: usize = 16;

/// A larger file is none of ours.
const LARGEST: u64 = 256 << 20;

/// The cache of an open device.
pub(crate) struct Cache {
    pub pipelines: wgpu::PipelineCache,
    path: PathBuf,
    /// Bytes in the file.
    saved: AtomicUsize,
}

impl Cache {
    /// The device's cache with what the file holds; `None` where there can be none.
    pub fn open(device: &wgpu::Device, info: &wgpu::AdapterInfo) -> Option<Self> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let key = wgpu::util::pipeline_cache_key(info)?;
        // The driver's version is part of the name: an update starts a new file instead of fighting over the old one.
        let driver = crc32fast::hash(crate::device::driver(info).as_bytes());
        let path = folder()?.join(format!("{key}_{driver:08x}.bin"));
        let data = fs::metadata(&path)
            .ok()
            .filter(|m| m.is_file() && m.len() <= LARGEST)
            .and_then(|_| unwrap(&fs::read(&path).ok()?));
        let saved = AtomicUsize::new(data.as_ref().map_or(0, Vec::len));
        Some(Self { pipelines: pipeline_cache(device, data.as_deref()), path, saved })
    }

    /// Writes the file, if there is more than it holds. That it cannot be written is no fault: the next start is slower.
    pub fn save(&self) {
        let Some(data) = self.pipelines.get_data() else { return };
        if data.len() <= self.saved.swap(data.len(), Ordering::Relaxed) {
            return;
        }
        let folder = self.path.parent().map(fs::create_dir_all);
        if matches!(folder, Some(Ok(()))) {
            let _ = write_atomically(&self.path, &wrap(&data));
        }
    }
}

/// Where what can be had again is kept; `None` if the user wants none or there is no such folder.
pub(crate) fn folder() -> Option<PathBuf> {
    match env::var_os("VELOGRAD_CACHE") {
        Some(value) if value == "off" || value.is_empty() => return None,
        Some(value) => return Some(value.into()),
        None => {}
    }
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = if cfg!(windows) {
        absolute("LOCALAPPDATA")
    } else {
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))
    };
    base.map(|base| base.join("velograd"))
}

fn wrap(data: &[u8]) -> Vec<u8> {
    [MAGIC.as_slice(), &VERSION.to_le_bytes(), &crc32fast::hash(data).to_le_bytes(), data].concat()
}

/// The driver's data, if they are as they were written.
fn unwrap(file: &[u8]) -> Option<Vec<u8>> {
    let (header, data) = file.split_at_checked(HEADER)?;
    (header == &wrap(data)[..HEADER]).then(|| data.to_vec())
}

#[cfg(test)]
mod tests {
    use super::{unwrap, wrap};

    #[test]
    fn only_whole_files_are_used() {
        let file = wrap(b"pipelines");
        assert_eq!(unwrap(&file).as_deref(), Some(b"pipelines".as_slice()));
        for cut in 0..file.len() {
            assert_eq!(unwrap(&file[..cut]), None, "cut to {cut} bytes");
        }
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 1;
            assert_eq!(unwrap(&changed), None, "byte {at} changed");
        }
    }
}
