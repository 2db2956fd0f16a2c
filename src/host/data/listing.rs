//! What a folder has in it, by names that can be printed.

use std::{fs, path::Path};

use crate::error::{Error, Result};

/// The names in a folder, sorted.
pub(super) struct Listing {
    pub(super) files: Vec<String>,
    pub(super) folders: Vec<String>,
}

impl Listing {
    /// Lists a folder, up to `left` entries, and subtracts their number from `left`.
    pub(super) fn new(folder: &Path, left: &mut usize) -> Result<Self> {
        let (mut files, mut folders) = (vec![], vec![]);
        for entry in fs::read_dir(folder).map_err(Error::io("list", folder))?.take(*left).flatten() {
            *left -= 1;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Hidden files belong to tools: `._data_batch_1.bin` is one of macOS's, `.git` a repository.
            if name.starts_with('.') || name.contains(char::is_control) {
                continue;
            }
            // Links are followed; for everything else the directory entry states the type.
            let is_folder =
                entry.file_type().is_ok_and(|kind| kind.is_dir() || (kind.is_symlink() && entry.path().is_dir()));
            let list = if is_folder { &mut folders } else { &mut files };
            list.push(name);
        }
        files.sort_unstable();
        folders.sort_unstable();
        Ok(Self { files, folders })
    }
}
