//! Keeps the driver's compiled pipelines on disk, so that the next start does not compile them again.
//!
//! There is one file per device and driver in the user's cache folder (`VELOGRAD_CACHE=DIR` names another folder,
//! `VELOGRAD_CACHE=off` disables the cache). It holds the driver's own data (`wgpu::PipelineCache`) behind a checksum.
//! A file that is incomplete, changed or of another driver is ignored and written anew. wgpu has pipeline caches on
//! Vulkan only. Nothing but the time to the first step depends on the file.

use std::{env, fs, path::PathBuf};

use etcetera::base_strategy::{BaseStrategy as _, choose_native_strategy};

use super::files::{read, write_atomically};
use crate::device::PipelineStore;

/// The first bytes of the file. [`VERSION`], which changes with the format, follows them.
const MAGIC: &[u8; 8] = b"velograd";
const VERSION: u32 = 1;
const HEADER: usize = 16;

/// Larger files are not read.
const LARGEST: u64 = 256 << 20;

/// A [`PipelineStore`] that keeps a file per device and driver in one folder.
pub struct PipelineFiles {
    folder: PathBuf,
}

impl PipelineFiles {
    /// The store in the user's cache folder; `None` if the user disabled it or there is no such folder.
    pub fn of_the_user() -> Option<Self> {
        folder().map(|folder| Self { folder })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}.bin"))
    }
}

impl PipelineStore for PipelineFiles {
    fn load(&self, key: &str) -> Option<Vec<u8>> {
        unwrap(&read(&self.path(key), LARGEST).ok()?)
    }

    fn save(&self, key: &str, data: &[u8]) {
        if fs::create_dir_all(&self.folder).is_ok() {
            // Without the file the next start is only slower.
            let _ = write_atomically(&self.path(key), &wrap(data));
        }
    }
}

/// The folder for what can be computed again; `None` if the user disabled it or there is no such folder.
pub(crate) fn folder() -> Option<PathBuf> {
    match env::var_os("VELOGRAD_CACHE") {
        Some(value) if value == "off" || value.is_empty() => return None,
        Some(value) => return Some(value.into()),
        None => {}
    }
    let base = choose_native_strategy().ok()?.cache_dir();
    Some(base.join("velograd"))
}

fn wrap(data: &[u8]) -> Vec<u8> {
    [MAGIC.as_slice(), &VERSION.to_le_bytes(), &crc32fast::hash(data).to_le_bytes(), data].concat()
}

/// The driver's data, if the header's checksum matches.
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
