//! Fetches data sets from where they are published.
//!
//! A file is fetched to a part beside its place, continued where an earlier start was interrupted, compared with its
//! published length and SHA-256, and only then given its name. What is wrong is deleted, and the next mirror is tried.

mod curl;
mod part;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

pub use table::{File, SETS, Set};

use crate::{
    error::{Error, Result, suggest::hint},
    host::data::fetch::{curl::End, part::Part},
};

/// How often a mirror is tried for one file, if each try brings further.
const TRIES: u32 = 5;

/// How to fetch.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address of a folder that has the files, in place of the set's own mirrors.
    pub from: Option<String>,
    /// How long a connection may carry nothing before it is given up, in whole seconds.
    pub patience: Duration,
    /// The time between two tries of one mirror.
    pub pause: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { from: None, patience: Duration::from_secs(60), pause: Duration::from_secs(1) }
    }
}

/// Is told what happens, and says when to stop.
pub trait Watch {
    /// A file is fetched from now on; it has `bytes` in all.
    fn begin(&mut self, name: &str, bytes: u64);
    /// So many bytes of the file are there.
    fn progress(&mut self, have: u64);
    /// Something that the user should know: a mirror that failed, bytes that were deleted.
    fn note(&mut self, text: String);
    /// Whether to stop. Asked several times a second.
    fn stop(&mut self) -> bool;
}

/// A file of a set, in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InPlace {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it was there before, and nothing was fetched.
    pub before: bool,
}

/// How fetching a set ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every file is in place.
    Whole(Vec<InPlace>),
    /// The user stopped; what was fetched of the file is kept.
    Stopped {
        /// Where the part is.
        part: PathBuf,
        /// Its length.
        have: u64,
        /// The length of the file.
        of: u64,
    },
}

/// The set called `name`, regardless of upper and lower case.
///
/// # Errors
/// [`Error::Config`] with the nearest name and the list.
pub fn set(name: &str) -> Result<&'static Set> {
    let names = SETS.each_ref().map(|set| set.name);
    let found = SETS.iter().find(|set| set.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        Error::about("fetch", format!("there is no data set called `{name}` to fetch"), hint(name, &names))
    })
}

/// Fetches the files of `set` to the folder `to`, which is created if it does not exist.
///
/// A file that is there already with the right checksum is not fetched again; one with another checksum is an error, as
/// it may be the user's own.
///
/// # Errors
/// [`Error::Config`] if `options.from` is no address, or if another process is fetching the same file;
/// [`Error::Data`] if no mirror has the file, or another file is in its place; [`Error::Device`] if there is no curl;
/// [`Error::Io`] if the folder cannot be written to.
pub fn fetch(set: &Set, to: &Path, options: &Options, watch: &mut dyn Watch) -> Result<Outcome> {
    let mirrors: Vec<&str> = match &options.from {
        Some(from) if !["http://", "https://", "file://"].iter().any(|begin| from.starts_with(begin)) => {
            let hint = "it begins with http://, https:// or file://, and ends with the folder that has the files";
            return Err(Error::about("from", format!("'from' is `{from}`, which is no address"), hint));
        }
        Some(from) => vec![from.trim_end_matches('/')],
        None => set.mirrors.to_vec(),
    };
    let folder = if set.folder.is_empty() { to.to_owned() } else { to.join(set.folder) };
    fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    let mut done = Vec::new();
    for file in set.files {
        let path = folder.join(file.name);
        // A link that leads nowhere is in the way too.
        let before = fs::symlink_metadata(&path).is_ok();
        if before {
            in_the_way(&path, file)?;
        } else if let Some(stopped) = fetch_file(&path, file, &mirrors, options, watch)? {
            return Ok(stopped);
        }
        done.push(InPlace { path, before });
    }
    Ok(Outcome::Whole(done))
}

/// Refuses to fetch a file whose place is taken by another one.
fn in_the_way(path: &Path, file: &File) -> Result<()> {
    match part::fault(path, file)? {
        None => Ok(()),
        Some(found) => {
            let expected = format!("{} bytes with SHA-256 {}", file.bytes, file.sha256);
            Err(Error::data(
                path,
                expected,
                found,
                "it is another file or a damaged one: move it away, then fetch again",
            ))
        }
    }
}

/// Fetches one file. `Some` if the user stopped it.
fn fetch_file(
    path: &Path,
    file: &File,
    mirrors: &[&str],
    options: &Options,
    watch: &mut dyn Watch,
) -> Result<Option<Outcome>> {
    let mut part = Part::open(path)?;
    watch.begin(file.name, file.bytes);
    let mut faults = Vec::new();
    for mirror in mirrors {
        let url = format!("{mirror}/{}", file.name);
        match try_mirror(&url, file, &mut part, options, watch)? {
            Tried::Whole => {
                part.finish(path)?;
                return Ok(None);
            }
            Tried::Stopped => {
                let (have, of) = (part.length(), file.bytes);
                return Ok(Some(Outcome::Stopped { part: part.path().to_owned(), have, of }));
            }
            Tried::Failed(fault) => {
                watch.note(format!("{url}: {fault}"));
                faults.push(format!("{url}: {fault}"));
            }
        }
    }
    let kept = match part.length() {
        0 => "'from' names another address that has the file".to_owned(),
        bytes => format!("{bytes} bytes are kept, and the same command goes on; 'from' names another address"),
    };
    Err(Error::data(path, format!("{} bytes", file.bytes), format!("none at\n    {}", faults.join("\n    ")), kept))
}

/// What came of a mirror.
enum Tried {
    Whole,
    Stopped,
    Failed(String),
}

fn try_mirror(url: &str, file: &File, part: &mut Part, options: &Options, watch: &mut dyn Watch) -> Result<Tried> {
    // Whether all of the part comes from this address. If not, wrong bytes may be another's fault.
    let mut own = part.length() == 0;
    let mut fault = String::new();
    for _ in 0..TRIES {
        let before = part.length();
        let end =
            if before < file.bytes { curl::append(url, part, file.bytes, options.patience, watch)? } else { End::Done };
        fault = match end {
            End::Stopped => return Ok(Tried::Stopped),
            End::Refused(words) => return Ok(Tried::Failed(words)),
            End::NoRange => {
                watch.note(format!("{url} cannot continue a file: it is fetched from the beginning"));
                part.clear()?;
                own = true;
                continue;
            }
            End::Broken(words) if part.length() == before => return Ok(Tried::Failed(words)),
            End::Broken(words) => words,
            End::TooLong => wrong(part, format!("more than {} bytes", file.bytes))?,
            End::Done => match part.fault(file)? {
                None => return Ok(Tried::Whole),
                Some(found) => wrong(part, found)?,
            },
        };
        if part.length() == 0 {
            if own {
                return Ok(Tried::Failed(fault));
            }
            watch.note(format!("{url}: {fault}; once more from the beginning"));
            own = true;
        } else if !wait(options.pause, watch) {
            return Ok(Tried::Stopped);
        }
    }
    Ok(Tried::Failed(fault))
}

/// Deletes the part, which is not the file, and says so.
fn wrong(part: &mut Part, found: String) -> Result<String> {
    part.clear()?;
    Ok(format!("wrong bytes ({found}), which are deleted"))
}

/// Waits; false if the user wants to stop.
fn wait(pause: Duration, watch: &mut dyn Watch) -> bool {
    let mut left = pause;
    while !left.is_zero() && !watch.stop() {
        let step = left.min(Duration::from_millis(100));
        thread::sleep(step);
        left -= step;
    }
    left.is_zero()
}
