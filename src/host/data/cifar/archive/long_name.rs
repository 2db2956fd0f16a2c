//! Names that do not fit into a tar header, which has room for a hundred characters: GNU tar puts them into an entry before the
//! file's (type `L`), POSIX's pax format into a list of records before it (type `x`).

use crate::error::{Error, Result};
use std::io::Read;
use std::path::Path;
use tar::{Entry, EntryType};

/// Most bytes of such an entry; the longest path on Linux has 4,096.
const LIMIT: u64 = 1 << 16;

/// What the entries before a file's entry say about it.
#[derive(Default)]
pub(super) struct Announced {
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
}

impl Announced {
    /// Reads an entry if it describes the next one; returns whether it does.
    ///
    /// # Errors
    /// [`Error::Data`] if it is longer than a name can be or is not a list of records; [`Error::Io`] if it cannot be
    /// read.
    pub(super) fn hears(&mut self, path: &Path, entry: &mut Entry<'_, impl Read>) -> Result<bool> {
        match entry.header().entry_type() {
            EntryType::GNULongName => {
                let text = read(path, entry)?;
                // The name ends with a zero byte.
                self.name = text.split(|&byte| byte == 0).next().map(<[u8]>::to_vec);
            }
            EntryType::XHeader => self.records(&read(path, entry)?).ok_or_else(|| damaged(path))?,
            // These describe a link and the whole archive; nothing here depends on them.
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The name, within the archive, of the entry that was described.
    ///
    /// # Errors
    /// [`Error::Data`] if the description gives another size than the entry's header, or says that the file is sparse.
    pub(super) fn name(self, path: &Path, entry: &Entry<'_, impl Read>) -> Result<String> {
        let name = self.name.unwrap_or_else(|| entry.header().path_bytes().into_owned());
        let name = String::from_utf8_lossy(&name).into_owned();
        if self.sparse && entry.header().entry_type().is_file() {
            return Err(super::sparse(path, &name));
        }
        if let Some(size) = self.size.filter(|&size| size != entry.size()) {
            let found = format!("{name} of {} bytes and of {size}", entry.size());
            return Err(Error::data(path, "one size of each file", found, "unpack it and give the folder"));
        }
        Ok(name)
    }

    /// Parses records of the form `LENGTH KEY=VALUE` and a line feed, where the length is that of the whole record;
    /// `None` if they have another form.
    fn records(&mut self, mut text: &[u8]) -> Option<()> {
        while !text.is_empty() {
            let space = text.iter().position(|&byte| byte == b' ')?;
            let length: usize = std::str::from_utf8(&text[..space]).ok()?.parse().ok()?;
            let record = text.get(space + 1..length)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|&byte| byte == b'=')?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.name = Some(value.to_vec()),
                b"size" => self.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                _ => self.sparse |= key.starts_with(b"GNU.sparse."),
            }
            text = &text[length..];
        }
        Some(())
    }
}

/// Reads the whole entry, if it is no longer than [`LIMIT`].
fn read(path: &Path, entry: &mut Entry<'_, impl Read>) -> Result<Vec<u8>> {
    let size = entry.size();
    if size > LIMIT {
        let found = format!("one of {size} bytes");
        return Err(Error::data(
            path,
            format!("names of at most {LIMIT} bytes"),
            found,
            "unpack it and give the folder",
        ));
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text).map_err(Error::io("unpack", path))?;
    Ok(text)
}

fn damaged(path: &Path) -> Error {
    Error::data(path, "pax headers of records `LENGTH KEY=VALUE`", "something else", "fetch or pack the archive again")
}

#[cfg(test)]
mod tests {
    use super::Announced;

    #[test]
    fn records_are_read_or_refused() {
        let read = |text: &[u8]| {
            let mut announced = Announced::default();
            announced.records(text).map(|()| (announced.name.map(|n| String::from_utf8(n).unwrap()), announced.size))
        };
        assert_eq!(read(b""), Some((None, None)));
        assert_eq!(read(b"12 path=a/b\n"), Some((Some("a/b".into()), None)));
        assert_eq!(read(b"10 size=7\n22 comment=path=other\n12 path=a=b\n"), Some((Some("a=b".into()), Some(7))));
        for wrong in [
            &b"12 path=a/b"[..], // no line feed
            b"11 path=a/b\n",    // a length that is too short
            b"99 path=a/b\n",    // too long
            b"0 path=a\n",       // none at all: it would never end
            b"3 path=a\n",       // shorter than its own digits
            b"path=a\n",         // no length
            b"-9 path=a\n",      // not a length
            b"99999999999999999999999 path=a\n",
            b"9 pathxa\n",  // no key
            b"10 size=x\n", // no number
        ] {
            assert_eq!(read(wrong), None, "{}", String::from_utf8_lossy(wrong));
        }
    }
}
