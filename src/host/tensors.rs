//! safetensors files, read no further than their table of tensors and their length allow.

use std::{fs::File, io::Read as _, path::Path};

use safetensors::tensor::Metadata;

use crate::{
    error::{Error, Result},
    host::files::open,
};

/// A file whose table of tensors has been read and agrees with its length; the data have not been read yet.
pub struct Tensors<'a> {
    /// Names, types, shapes and places, and what else the file says of itself.
    pub table: Metadata,
    path: &'a Path,
    file: File,
    /// The bytes up to the data.
    start: Vec<u8>,
}

impl<'a> Tensors<'a> {
    /// Reads the table, of at most `most` bytes. Lengths are compared here, before memory is asked for the data and before
    /// the safetensors crate compares them: its sum is not checked, which is a panic where the build checks for overflow.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Data`] if it is no whole safetensors file.
    pub fn open(path: &'a Path, most: u64) -> Result<Self> {
        let (mut file, length) = open(path)?;
        let mut start = Vec::new();
        let mut more = |bytes: u64, start: &mut Vec<u8>| {
            let read = file.by_ref().take(bytes).read_to_end(start).map_err(Error::io("read", path))?;
            if read as u64 == bytes { Ok(()) } else { Err(Self::none(path, &format!("{length} bytes"))) }
        };
        more(8, &mut start)?;
        let bytes = u64::from_le_bytes(start[..].try_into().expect("eight were read"));
        if bytes > most.min(length) {
            return Err(Self::none(path, &format!("a table of tensors of {bytes} bytes in a file of {length}")));
        }
        more(bytes, &mut start)?;
        let table: Metadata = serde_json::from_slice(&start[8..]).map_err(|e| Self::none(path, &e))?;
        let data = table.data_len() as u64;
        if (8 + bytes).checked_add(data) != Some(length) {
            let found = format!("{length} bytes, where the table of tensors asks for 8 + {bytes} + {data}");
            return Err(Self::none(path, &found));
        }
        Ok(Self { table, path, file, start })
    }

    /// Reads the data too: the table and all bytes of the file, `most` of them at most.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Data`] if it is longer.
    pub fn read(mut self, most: u64) -> Result<(Metadata, Vec<u8>)> {
        let (data, start) = (self.table.data_len() as u64, self.start.len() as u64);
        if start + data > most {
            return Err(Error::data(self.path, format!("at most {most} bytes"), (start + data).to_string(), ""));
        }
        self.file.take(data).read_to_end(&mut self.start).map_err(Error::io("read", self.path))?;
        Ok((self.table, self.start))
    }

    /// The error for a file that is none of this kind.
    pub fn none(path: &Path, found: &dyn std::fmt::Display) -> Error {
        let hint =
            "velograd reads whole ones; PyTorch writes them: safetensors.torch.save_file(model.state_dict(), path)";
        Error::data(path, "a safetensors file", found.to_string(), hint)
    }
}
