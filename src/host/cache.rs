//! The driver's compiled pipelines on disk, so that the next start need not compile them again.
//!
//! One file per device and driver in the user's cache folder (`VELOGRAD_CACHE=DIR` names another, `off` none). It is the
//! driver's own data behind a checksum; what is torn, changed or of another driver is left alone and made anew. Vulkan
//! alone has such caches. Nothing depends on the file but the time to the first step.

use std::{env, fs, path::PathBuf};

use etcetera::base_strategy::{BaseStrategy as _, choose_native_strategy};

use super::files::{read, write_atomically};
use crate::device::PipelineStore;

/// Begins the file; the number changes with its form.
const MAGIC: &[u8; 8] = b"velograd";
const VERSION: u32 = 1;
const HEADER: usize = 16;

/// A larger file is none of ours.
const LARGEST: u64 = 256 << 20;

/// Files of pipelines in a folder, one for each device and driver.
pub struct PipelineFiles {
    folder: PathBuf,
}

impl PipelineFiles {
    /// Those in the user's cache folder; `None` if the user wants none or there is no such folder.
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
            // The next start is slower, that is all.
            let _ = write_atomically(&self.path(key), &wrap(data));
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
    let base = choose_native_strategy().ok()?.cache_dir();
    Some(base.join("velograd"))
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
