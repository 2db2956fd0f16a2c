//! Reads safetensors files, and checks lengths before it allocates memory.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use safetensors::tensor::{Metadata, TensorInfo};

use crate::{
    error::{Error, Result, suggest::shell_word},
    host::{
        file_type::{FIRST_BYTES, FileType},
        files::open,
    },
};

/// A file whose header has been read and agrees with the file's length; the data have not been read yet.
pub struct Tensors {
    /// The header: names, types, shapes and offsets of the tensors, and the metadata.
    pub table: Metadata,
    path: PathBuf,
    file: File,
    /// The bytes before the data.
    start: Vec<u8>,
}

impl Tensors {
    /// Reads the header, of at most `most` bytes. Lengths are compared here, before memory is allocated for the data
    /// and before the safetensors crate compares them: the crate's sum may overflow, which is a panic in builds that
    /// check for it.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Data`] if it is not a complete safetensors file; a file of
    /// another known type is named as such.
    pub fn open(path: &Path, most: u64) -> Result<Self> {
        let (mut file, length) = open(path)?;
        let mut start = Vec::new();
        let mut more = |bytes: u64, start: &mut Vec<u8>| -> Result<bool> {
            let read = file.by_ref().take(bytes).read_to_end(start).map_err(Error::io("read", path))?;
            Ok(read as u64 == bytes)
        };
        more(FIRST_BYTES as u64, &mut start)?;
        // The header of every safetensors file begins with a brace, after its length in eight bytes.
        if let (false, Some(kind)) = (start.get(8) == Some(&b'{'), FileType::of(&start)) {
            return Err(of_another_kind(path, kind));
        }
        let cut = || none(path, &format!("{length} bytes"));
        let bytes = u64::from_le_bytes(*start.first_chunk().ok_or_else(cut)?);
        if bytes > most.min(length) {
            return Err(none(path, &format!("a table of tensors of {bytes} bytes in a file of {length}")));
        }
        let missing = (8 + bytes).saturating_sub(start.len() as u64);
        if !more(missing, &mut start)? {
            return Err(cut());
        }
        start.truncate(8 + bytes as usize);
        let table: Metadata = serde_json::from_slice(&start[8..]).map_err(|e| none(path, &e))?;
        let data = table.data_len() as u64;
        if (8 + bytes).checked_add(data) != Some(length) {
            let found = format!("{length} bytes, where the table of tensors asks for 8 + {bytes} + {data}");
            return Err(none(path, &found));
        }
        Ok(Self { table, path: path.to_owned(), file, start })
    }

    /// Reads the data too, and returns the header and all bytes of the file, at most `most`.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::Data`] if the file is longer or has become shorter.
    pub fn read(mut self, most: u64) -> Result<(Metadata, Vec<u8>)> {
        let (data, start) = (self.table.data_len() as u64, self.start.len() as u64);
        if start + data > most {
            return Err(Error::data(&self.path, format!("at most {most} bytes"), (start + data).to_string(), ""));
        }
        self.file.seek(SeekFrom::Start(start)).map_err(Error::io("read", &self.path))?;
        self.file.take(data).read_to_end(&mut self.start).map_err(Error::io("read", &self.path))?;
        if self.start.len() as u64 != start + data {
            return Err(none(&self.path, &format!("{} bytes by now", self.start.len())));
        }
        Ok((self.table, self.start))
    }

    /// Reads the bytes of one tensor of the table.
    ///
    /// # Errors
    /// [`Error::Io`] if they cannot be read.
    pub fn bytes(&self, tensor: &TensorInfo) -> Result<Vec<u8>> {
        let (from, to) = tensor.data_offsets;
        let mut bytes = vec![0; to - from];
        let place = SeekFrom::Start((self.start.len() + from) as u64);
        let mut file = &self.file;
        file.seek(place).and_then(|_| file.read_exact(&mut bytes)).map_err(Error::io("read", &self.path))?;
        Ok(bytes)
    }

    /// Refuses a header of more than `most` bytes. This limit is stricter than that of [`Tensors::open`], for a file
    /// whose kind is known by its header.
    ///
    /// # Errors
    /// [`Error::Data`] if the header is longer.
    pub fn check_table(&self, most: u64) -> Result<()> {
        let bytes = self.start.len() as u64 - 8;
        if bytes > most { Err(none(&self.path, &format!("a table of tensors of {bytes} bytes"))) } else { Ok(()) }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The error for a file that is not a safetensors file.
fn none(path: &Path, found: &dyn std::fmt::Display) -> Error {
    let hint = "the file is cut short, damaged or of another format; PyTorch writes this one by \
                safetensors.torch.save_file(model.state_dict(), path)";
    Error::data(path, "a safetensors file", found.to_string(), hint)
}

fn of_another_kind(path: &Path, kind: FileType) -> Error {
    let hint = match kind {
        FileType::Torch | FileType::Pickle => {
            let script = "import sys, torch, safetensors.torch as s; w = torch.load(sys.argv[1], 'cpu'); \
                          s.save_file(w.get('state_dict', w), sys.argv[2])";
            let (from, to) = (shell_word(path), shell_word(&path.with_extension("safetensors")));
            format!("this writes its tensors as one:\n    python3 -c \"{script}\" {from} {to}")
        }
        _ => String::new(),
    };
    Error::data(path, "a safetensors file", kind.name(), hint)
}
