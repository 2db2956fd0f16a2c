//! Recognizes the type of a file by its first bytes, for messages about a file of an unexpected type.

/// A type of file that may be given where weights or images are expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// gzip (RFC 1952).
    Gzip,
    /// A POSIX or GNU tar archive that is not compressed.
    Tar,
    /// What `torch.save` writes: a ZIP archive around a Python pickle or, before PyTorch 1.6, the pickle alone.
    Torch,
    /// A Python pickle.
    Pickle,
    /// NumPy's `.npz`.
    Npz,
    /// A ZIP archive of something else.
    Zip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
    /// HDF5, in which Keras saves weights.
    Hdf5,
    /// GGUF, llama.cpp's format of weights.
    Gguf,
    /// A web page, which a failed download often leaves.
    Html,
    /// The text file that a Git repository holds in place of a large file.
    LfsPointer,
}

/// Number of bytes from the start of a file that [`FileType::of`] looks at.
pub const FIRST_BYTES: usize = 512;

/// The first record of a pickle that `torch.save` wrote before PyTorch 1.6: a magic number.
const OLD_TORCH: &[u8] = &[0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

impl FileType {
    /// The type of a file that begins with `first`; `None` if it is of no known type.
    pub fn of(first: &[u8]) -> Option<Self> {
        let starts: [(&[u8], Self); 7] = [
            (&[0x1f, 0x8b], Self::Gzip),
            (b"BZh", Self::Bzip2),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Self::Xz),
            (&[0x28, 0xb5, 0x2f, 0xfd], Self::Zstd),
            (b"\x89HDF\r\n\x1a\n", Self::Hdf5),
            (b"GGUF", Self::Gguf),
            (b"version https://git-lfs", Self::LfsPointer),
        ];
        if let Some((_, kind)) = starts.iter().find(|(start, _)| first.starts_with(start)) {
            return Some(*kind);
        }
        if first.starts_with(b"PK\x03\x04") {
            // The local header of the first file: the length of its name at byte 26, the name at byte 30.
            let length = first.get(26..28).map_or(0, |b| usize::from(u16::from_le_bytes([b[0], b[1]])));
            let name = first.get(30..).map_or(&[][..], |rest| &rest[..length.min(rest.len())]);
            let ends = |end: &[u8]| name.ends_with(end);
            return Some(match () {
                () if ends(b"/data.pkl") => Self::Torch,
                () if ends(b".npy") => Self::Npz,
                () => Self::Zip,
            });
        }
        if let [0x80, 2..=5, rest @ ..] = first {
            return Some(if rest.starts_with(OLD_TORCH) { Self::Torch } else { Self::Pickle });
        }
        if first.get(257..262) == Some(b"ustar") {
            return Some(Self::Tar);
        }
        let text = first.trim_ascii_start();
        let html = [&b"<!doctype html"[..], b"<html"]
            .iter()
            .any(|tag| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag)));
        html.then_some(Self::Html)
    }

    /// A description for messages, with its article.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "a gzip-compressed file",
            Self::Tar => "a tar archive",
            Self::Torch => "a PyTorch file (torch.save), which is a Python pickle",
            Self::Pickle => "a Python pickle",
            Self::Npz => "NumPy arrays (.npz)",
            Self::Zip => "a ZIP archive",
            Self::Bzip2 => "a bzip2-compressed file",
            Self::Xz => "an xz-compressed file",
            Self::Zstd => "a zstd-compressed file",
            Self::Hdf5 => "an HDF5 file, as Keras writes",
            Self::Gguf => "a GGUF file",
            Self::Html => "a web page: the download failed",
            Self::LfsPointer => "a Git LFS pointer, which stands for the file: `git lfs pull` fetches it",
        }
    }
}

/// Whether the beginning of a file is one of text. Its last character may be cut off.
pub fn is_text(first: &[u8]) -> bool {
    let characters = std::str::from_utf8(first);
    characters.map_or_else(|error| error.error_len().is_none(), |text| !text.is_empty()) && !first.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::FileType;

    fn zip(name: &str) -> Vec<u8> {
        let mut header = b"PK\x03\x04".to_vec();
        header.resize(26, 0);
        header.extend((name.len() as u16).to_le_bytes());
        header.extend([0, 0]);
        [&header[..], name.as_bytes()].concat()
    }

    #[test]
    fn kinds() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        let old = [&[0x80, 2][..], super::OLD_TORCH].concat();
        let known: [(&[u8], Option<FileType>); 13] = [
            (&[0x1f, 0x8b, 8], Some(FileType::Gzip)),
            (&tar, Some(FileType::Tar)),
            (&zip("model/data.pkl"), Some(FileType::Torch)),
            (&old, Some(FileType::Torch)),
            (&[0x80, 4, 0x95], Some(FileType::Pickle)),
            (&zip("arr_0.npy"), Some(FileType::Npz)),
            (&zip("readme.txt"), Some(FileType::Zip)),
            (b"PK\x03\x04", Some(FileType::Zip)),
            (b"\n <!DOCTYPE HTML>", Some(FileType::Html)),
            (b"version https://git-lfs.github.com/spec/v1\n", Some(FileType::LfsPointer)),
            (b"BZh91AY", Some(FileType::Bzip2)),
            (b"", None),
            (&[7; 600], None),
        ];
        for (first, kind) in known {
            assert_eq!(FileType::of(first), kind, "{first:?}");
        }
    }
}
