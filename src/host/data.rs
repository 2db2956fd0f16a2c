//! Chooses and opens a data set.
//!
//! CIFAR-10 is not shipped with the program. So that a first run without its files does something useful, [`open`] then
//! falls back on the synthetic set [`shapes10`], and says so prominently, since an accuracy on drawn shapes must never
//! be mistaken for one on CIFAR-10. If a set was asked for by name, missing files are an error.

pub mod cifar;
pub mod fetch;
mod find;
pub mod held;
pub mod idx;
mod listing;
pub mod pictures;
mod positioned;
pub mod text;
pub mod tokens;
mod unpack;

use std::{io::Read as _, path::Path, sync::Arc};

pub use cifar::{Cifar, Cifar10};
pub use idx::Idx;
pub use pictures::Pictures;
pub use tokens::TokenFiles;

use crate::{
    data::{Dataset, Digits28, Masked, Shapes10, Sizes, TokensBy, Vocabulary, digits28, grammar, shapes10},
    error::{
        Error, Result,
        suggest::{hint, shell_word},
    },
    host::{file_type::is_text, files, threads::on_all_cores},
};
use cifar::{CIFAR10, CIFAR100, CIFAR100_COARSE, Layout, Version};
use find::{Form, Search, Source, Suspect};
use idx::Family;

/// How a set is opened.
#[derive(Clone, Copy)]
enum Reader {
    Cifar(&'static Version),
    Idx(Family),
    Pictures,
    Text,
    Tokens,
    Shapes10,
    Digits28,
    Grammar,
}

/// Every set by its name.
const SETS: [(&str, Reader); 13] = [
    (cifar::NAME, Reader::Cifar(&CIFAR10)),
    ("cifar100", Reader::Cifar(&CIFAR100)),
    ("cifar100-coarse", Reader::Cifar(&CIFAR100_COARSE)),
    ("mnist", Reader::Idx(Family::Mnist)),
    ("fashion-mnist", Reader::Idx(Family::Fashion)),
    ("kmnist", Reader::Idx(Family::Kuzushiji)),
    ("emnist", Reader::Idx(Family::Emnist)),
    (pictures::NAME, Reader::Pictures),
    (text::NAME, Reader::Text),
    (tokens::NAME, Reader::Tokens),
    (shapes10::NAME, Reader::Shapes10),
    (digits28::NAME, Reader::Digits28),
    (grammar::NAME, Reader::Grammar),
];

/// The names [`open`] knows.
pub const NAMES: [&str; SETS.len()] = {
    let (mut names, mut i) = ([""; SETS.len()], 0);
    while i < SETS.len() {
        names[i] = SETS[i].0;
        i += 1;
    }
    names
};

/// Which set is wanted; the default leaves the choice to what is there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// One of [`NAMES`].
    pub name: Option<&'a str>,
    /// Where its files are.
    pub path: Option<&'a Path>,
    /// The side of the images that pictures are brought to, in pixels. It is refused for images that have a size.
    pub image_size: Option<u32>,
    /// What stands for [`image_size`](Self::image_size) where that is `None`, as the size that weights were trained on;
    /// [`pictures::USUAL_SIDE`] if this is, too.
    pub usual_size: Option<u32>,
    /// What text is cut into; characters if `None`. It is refused for what is not text.
    pub tokens: Option<TokensBy>,
    /// The vocabulary that text is encoded by, such as that of weights; that of the text itself if `None`. What is not text has
    /// its own tokens.
    pub vocabulary: Option<&'a Vocabulary>,
    /// The tokens of a block of text; [`text::USUAL_LENGTH`] if `None`. It is refused for images.
    pub length: Option<u32>,
    /// Whether tokens are to be hidden, for a network that fills them in: the set then has a token `[MASK]`.
    pub masked: bool,
    /// The seed of drawn images and text.
    pub seed: u64,
}

impl Wanted<'_> {
    fn block(&self) -> u32 {
        self.length.unwrap_or(text::USUAL_LENGTH)
    }
}

/// A set, and what to tell the user about how it was chosen.
pub struct Opened {
    /// The set.
    pub dataset: Arc<dyn Dataset>,
    /// Remarks to print before the run, the set's own included; each may have several lines.
    pub notes: Vec<String>,
}

impl Opened {
    fn read(set: impl Dataset + 'static) -> Self {
        Self { notes: set.notes().to_vec(), dataset: Arc::new(set) }
    }

    fn drawn(set: impl Dataset + 'static, notes: Vec<String>) -> Self {
        Self { dataset: Arc::new(set), notes }
    }
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("dataset", self.dataset.spec()).field("notes", &self.notes).finish()
    }
}

/// The name in [`NAMES`] that equals `name`, regardless of upper and lower case.
///
/// # Errors
/// [`Error::Config`] with the nearest name and the list.
pub fn known(name: &str) -> Result<&'static str> {
    let found = NAMES.into_iter().find(|known| known.eq_ignore_ascii_case(name));
    found.ok_or_else(|| Error::config(format!("no data set is called `{name}`"), hint(name, &NAMES)))
}

/// Opens the data set that is wanted.
///
/// A path may be a folder, an archive, or a file in a folder; what it holds is recognized, and a name is only needed where
/// it may be several things. With a name alone, the set is looked for in the folder `data`. With neither, CIFAR-10 is
/// opened if it is there, and otherwise [`shapes10`], unless `data` holds something else that looks like images; where blocks of
/// tokens are wanted, it is [`grammar`].
///
/// # Errors
/// [`Error::Config`] for an unknown name, for a path together with a drawn set, and for what has no meaning for the set: a size
/// of images that are stored in one, tokens of what is not text, a length of images; [`Error::Data`] and [`Error::Io`] if a set was asked for, by name or by path, and is missing or damaged, and if
/// `data` holds images that are none of CIFAR-10.
pub fn open(wanted: Wanted<'_>) -> Result<Opened> {
    open_in(Path::new("data"), wanted, Sizes::default())
}

/// [`open`] with the folder `home` in place of `data`, and with `sizes` for a drawn set.
///
/// # Errors
/// As [`open`].
pub fn open_in(home: &Path, wanted: Wanted<'_>, sizes: Sizes) -> Result<Opened> {
    let opened = open_plain(home, &wanted, sizes)?;
    match wanted.masked {
        true => Ok(Opened { dataset: Arc::new(Masked::new(opened.dataset)?), notes: opened.notes }),
        false => Ok(opened),
    }
}

/// [`open_in`] with nothing hidden.
fn open_plain(home: &Path, wanted: &Wanted<'_>, sizes: Sizes) -> Result<Opened> {
    let Wanted { name, path, seed, .. } = *wanted;
    let name = name.map(known).transpose()?;
    let reader = SETS.iter().find(|(known, _)| Some(*known) == name).map(|(_, reader)| *reader);
    match (reader, path) {
        (Some(Reader::Shapes10 | Reader::Digits28 | Reader::Grammar), Some(path)) => {
            let name = name.unwrap_or_default();
            let message = format!("{name} is drawn, not read: it takes no data folder ({})", path.display());
            Err(Error::config(message, "leave out either the dataset or the folder"))
        }
        (Some(Reader::Shapes10), None) => draw_shapes(wanted, sizes, vec![]),
        (Some(Reader::Digits28), None) => {
            fits(wanted, digits28::NAME, Samples::Images)?;
            Ok(Opened::drawn(Digits28::spread(seed, sizes, on_all_cores)?, vec![]))
        }
        (Some(Reader::Grammar), None) => draw_text(wanted, vec![]),
        (reader, Some(path)) => open_path(reader, path, wanted),
        (Some(reader), None) if home.is_dir() => open_path(Some(reader), home, wanted),
        (Some(reader), None) => {
            let (title, get) = match reader {
                Reader::Cifar(version) => (version.layout.title, format!("; {}", version.layout.how_to_get(home))),
                Reader::Idx(family) => (family.title(), String::new()),
                Reader::Text => ("text", String::new()),
                Reader::Tokens => ("files of tokens", String::new()),
                Reader::Pictures | Reader::Shapes10 | Reader::Digits28 | Reader::Grammar => ("pictures", String::new()),
            };
            let hint = format!("name the folder or archive by 'data' if it lies elsewhere{get}");
            Err(Error::data(home, format!("a folder with {title}"), "no such folder", hint))
        }
        (None, None) if wanted.length.is_some() => {
            let note = format!(
                "no 'data': using {}, TEXT DRAWN from a small grammar: results do not compare with those of real text",
                grammar::NAME
            );
            draw_text(wanted, vec![note])
        }
        (None, None) => match find_cifar10(home, wanted)? {
            Some(found) => Ok(found),
            None => {
                let note = format!(
                    "NO CIFAR-10 in {home}/: using {}, DRAWN SHAPES: results do not compare.\n\
                     Put this into {home}/: {}",
                    shapes10::NAME,
                    cifar::layout::TEN.url,
                    home = home.display(),
                );
                draw_shapes(wanted, sizes, vec![note])
            }
        },
    }
}

fn draw_shapes(wanted: &Wanted<'_>, sizes: Sizes, notes: Vec<String>) -> Result<Opened> {
    fits(wanted, shapes10::NAME, Samples::Images)?;
    Ok(Opened::drawn(Shapes10::spread(wanted.seed, sizes, on_all_cores)?, notes))
}

fn draw_text(wanted: &Wanted<'_>, notes: Vec<String>) -> Result<Opened> {
    fits(wanted, grammar::NAME, Samples::Tokens)?;
    Ok(Opened::drawn(grammar::grammar(wanted.seed, wanted.block(), grammar::SIZES)?, notes))
}

/// CIFAR-10 in `home`; `None` if there is no such folder, or nothing in it that looks like images.
fn find_cifar10(home: &Path, wanted: &Wanted<'_>) -> Result<Option<Opened>> {
    if !home.is_dir() {
        return Ok(None);
    }
    let search = Search::new(home, &[Form::Cifar(CIFAR10.layout)])?;
    match search.source(home)? {
        Some(source) => open_source(Some(Reader::Cifar(&CIFAR10)), source, home, wanted).map(Some),
        None if search.suspects.is_empty() => Ok(None),
        None => {
            let hint = format!("the set shapes10 is drawn and needs no files; {}", CIFAR10.layout.how_to_get(home));
            Err(search.nothing(home, hint))
        }
    }
}

/// Opens what is at `path`, which is to be read by `reader` if that is given.
fn open_path(reader: Option<Reader>, path: &Path, wanted: &Wanted<'_>) -> Result<Opened> {
    let metadata = std::fs::metadata(path).map_err(Error::io("read", path))?;
    if !metadata.is_dir() {
        return open_file(reader, path, wanted);
    }
    let search = match reader {
        None => Search::new(path, &Form::ALL)?,
        Some(Reader::Cifar(version)) => Search::new(path, &[Form::Cifar(version.layout)])?,
        Some(Reader::Idx(family)) => Search::new(path, &[Form::Idx(Some(family))])?,
        Some(Reader::Text) => Search::new(path, &[Form::Text])?,
        Some(Reader::Tokens) => Search::new(path, &[Form::Tokens])?,
        Some(Reader::Pictures | Reader::Shapes10 | Reader::Digits28 | Reader::Grammar) => {
            Search::new(path, &[Form::Pictures])?
        }
    };
    if let Some(source) = search.source(path)? {
        return open_source(reader, source, path, wanted);
    }
    let images = |(_, suspect): &(_, Suspect)| *suspect == Suspect::Images;
    match reader {
        // Its own error says what is missing of a set of pictures.
        Some(Reader::Pictures) => open_pictures(path, wanted),
        None if !search.suspects.is_empty() && search.suspects.iter().all(images) => open_pictures(path, wanted),
        Some(Reader::Cifar(version)) => Err(search.nothing(path, version.layout.how_to_get(path))),
        Some(Reader::Idx(_) | Reader::Tokens) => {
            Err(search.nothing(path, "name the folder that has them by 'data'".to_owned()))
        }
        Some(Reader::Text) => {
            let hint =
                how_to_name_text(path).unwrap_or_else(|| "name the file or folder that has it by 'data'".to_owned());
            Err(search.nothing(path, hint))
        }
        _ => {
            // Beside what looks like images, a text may be their description.
            let text = how_to_name_text(path).filter(|_| wanted.length.is_some() || search.suspects.is_empty());
            let hint = text.unwrap_or_else(|| match wanted.length {
                Some(_) => {
                    "name a text, a folder with train.txt and valid.txt, or one with train.bin, by 'data'".to_owned()
                }
                None => CIFAR10.layout.how_to_get(path),
            });
            Err(search.nothing(path, hint))
        }
    }
}

/// What helps where a folder has text, and no set of it.
fn how_to_name_text(folder: &Path) -> Option<String> {
    let listing = listing::Listing::new(folder, &mut 1_000).ok()?;
    let file = listing.files.iter().find(|name| text::names::is_named(name))?;
    let file = shell_word(&folder.join(file));
    Some(format!("a text is a file, such as 'data' {file}, or a folder with train.txt and valid.txt"))
}

/// Whether a file begins with characters of UTF-8, and none that is binary.
fn begins_with_text(path: &Path) -> bool {
    let mut first = vec![];
    let read = files::open(path)
        .and_then(|(file, _)| file.take(1 << 12).read_to_end(&mut first).map_err(Error::io("read", path)));
    read.is_ok() && is_text(&first)
}

/// Opens the set that the file at `path` is or belongs to.
fn open_file(reader: Option<Reader>, path: &Path, wanted: &Wanted<'_>) -> Result<Opened> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let by_name = match () {
        () if reader.is_some() => None,
        () if idx::is_named(&name) => return open_idx(path, None, wanted),
        () if pictures::is_named(&name) => Some(Reader::Pictures),
        () if text::names::is_named(&name) || find::is_text_archive(&name) => Some(Reader::Text),
        () if tokens::is_named(path, &name) => Some(Reader::Tokens),
        // Where blocks are needed, a `train.bin` is none of CIFAR-100.
        () if wanted.length.is_some() && tokens::names::parse(&name).is_some() => Some(Reader::Tokens),
        () => {
            let hundred = |layout: &Layout| *layout == cifar::layout::HUNDRED;
            let told = match Suspect::of(&name, false) {
                Some(Suspect::Cifar(layout)) => Some(layout),
                _ if cifar::layout::HUNDRED.is_records(&name) => Some(&cifar::layout::HUNDRED),
                _ => Cifar::layout_of(path),
            };
            let is_text = || begins_with_text(path);
            let records = cifar::layout::TEN.is_records(&name) || find::is_packed(&name);
            if told.is_none() && !records && (wanted.length.is_some() || is_text()) {
                let found = if is_text() { "text of another name" } else { "a file of another name" };
                let hint = "'dataset' text reads it as text; 'tokens' byte takes any bytes";
                return Err(Error::data(path, "a data set that its name tells", found, hint));
            }
            Some(Reader::Cifar(if told.is_some_and(hundred) { &CIFAR100 } else { &CIFAR10 }))
        }
    };
    match reader.or(by_name) {
        Some(Reader::Cifar(version)) => {
            fits(wanted, version.name, Samples::Images)?;
            Cifar::open(version, path).map(Opened::read)
        }
        Some(Reader::Idx(family)) => open_idx(path, Some(family), wanted),
        Some(Reader::Text) => open_text(path, wanted),
        Some(Reader::Tokens) => open_tokens(path, wanted),
        _ => {
            let hint = "name the folder that has a folder for each class";
            Err(Error::data(path, "a folder of pictures", "a file", hint))
        }
    }
}

/// Opens what was found in the folder `asked`.
fn open_source(reader: Option<Reader>, source: &Source, asked: &Path, wanted: &Wanted<'_>) -> Result<Opened> {
    let mut opened = match source.form {
        Form::Cifar(layout) => {
            let version = match reader {
                Some(Reader::Cifar(version)) => version,
                _ if *layout == cifar::layout::HUNDRED => &CIFAR100,
                _ => &CIFAR10,
            };
            fits(wanted, version.name, Samples::Images)?;
            Opened::read(Cifar::open_found(version, &source.path)?)
        }
        Form::Idx(family) => open_idx(&source.path, family, wanted)?,
        Form::Pictures => open_pictures(&source.path, wanted)?,
        Form::Text => open_text(&source.path, wanted)?,
        Form::Tokens => open_tokens(&source.path, wanted)?,
    };
    opened.notes.splice(0..0, source.elsewhere(asked));
    Ok(opened)
}

fn open_idx(path: &Path, family: Option<Family>, wanted: &Wanted<'_>) -> Result<Opened> {
    fits(wanted, family.map_or("mnist", Family::name), Samples::Images)?;
    Idx::open(path, family).map(Opened::read)
}

fn open_pictures(path: &Path, wanted: &Wanted<'_>) -> Result<Opened> {
    fits(wanted, pictures::NAME, Samples::Pictures)?;
    Pictures::open(path, wanted.image_size.or(wanted.usual_size).unwrap_or(pictures::USUAL_SIDE)).map(Opened::read)
}

fn open_text(path: &Path, wanted: &Wanted<'_>) -> Result<Opened> {
    fits(wanted, text::NAME, Samples::Text)?;
    let Some(vocabulary) = wanted.vocabulary else {
        return text::open(path, wanted.tokens.unwrap_or_default(), wanted.block()).map(Opened::read);
    };
    if let Some(by) = wanted.tokens.filter(|by| *by != vocabulary.by()) {
        let message = format!("'tokens' is {by}, and the weights' vocabulary is of {}s", vocabulary.by());
        return Err(Error::about("tokens", message, "leave it out: text is encoded by the vocabulary of the weights"));
    }
    text::open_by(path, vocabulary, wanted.block()).map(Opened::read)
}

fn open_tokens(path: &Path, wanted: &Wanted<'_>) -> Result<Opened> {
    fits(wanted, tokens::NAME, Samples::Tokens)?;
    TokenFiles::open(path, wanted.block()).map(Opened::read)
}

/// The folder that a file lies in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What is made into samples.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Samples {
    /// Images that have a size.
    Images,
    /// Images that are brought to a size.
    Pictures,
    /// Text, which is cut into tokens.
    Text,
    /// What consists of tokens already.
    Tokens,
}

/// Refuses what was asked for and has no meaning for the set called `name`.
fn fits(wanted: &Wanted<'_>, name: &str, samples: Samples) -> Result<()> {
    let of = match samples {
        Samples::Images => format!("the images of {name} have a size of their own"),
        Samples::Pictures => format!("{name} has images"),
        Samples::Text => format!("{name} is no image"),
        Samples::Tokens => format!("{name} has tokens of its own"),
    };
    let images = matches!(samples, Samples::Images | Samples::Pictures);
    match wanted {
        Wanted { image_size: Some(size), .. } if samples != Samples::Pictures => {
            let hint = "'image_size' is for folders of pictures: leave it out";
            Err(Error::about("image_size", format!("'image_size' is {size}, and {of}"), hint))
        }
        Wanted { tokens: Some(by), .. } if samples != Samples::Text => {
            let what = if images { format!("{name} has images") } else { of };
            let hint = "'tokens' is for text: leave it out, or name text by 'data'";
            Err(Error::about("tokens", format!("'tokens' is {by}, and {what}"), hint))
        }
        Wanted { length: Some(length), .. } if images => {
            let message = format!("blocks of {length} tokens are needed, and {name} has images");
            Err(Error::config(message, "name text by 'data' or 'dataset'"))
        }
        _ => Ok(()),
    }
}
