//! The logits of an evaluation as a file: a row for each target, in the order of the data set.

use std::path::Path;

use safetensors::{Dtype, tensor::TensorView};

use super::table::Table;
use crate::{
    data::IGNORED,
    error::{Error, Result},
    host::files::write_atomically,
    training::evaluate::Logits,
};

/// A file for logits, whose name says what it will be.
pub struct LogitsFile<'a> {
    path: &'a Path,
    format: Format,
}

enum Format {
    /// A table: the label as a number, and a column per class.
    Csv,
    /// `logits`, f32 of shape `[images, classes]`, and `labels`, i64 of shape `[images]`; of text, tokens in place of images.
    Safetensors,
}

impl<'a> LogitsFile<'a> {
    /// The file of this name, which is not touched before it is written.
    ///
    /// # Errors
    /// [`Error::Config`] for an extension other than `.csv` or `.safetensors`.
    pub fn new(path: &'a Path) -> Result<Self> {
        let format = match path.extension().and_then(|e| e.to_str()) {
            Some("csv") => Format::Csv,
            Some("safetensors") => Format::Safetensors,
            _ => {
                let message = format!("'logits' {}", path.display());
                return Err(Error::about("logits", message, "the file's name ends in .csv or .safetensors"));
            }
        };
        Ok(Self { path, format })
    }

    /// Its path.
    pub fn path(&self) -> &'a Path {
        self.path
    }

    /// Writes the file atomically; `classes` are the names of its columns.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn write(&self, logits: &Logits, classes: &[String]) -> Result<()> {
        let bytes = match self.format {
            Format::Csv => table(logits, classes).csv().into_bytes(),
            Format::Safetensors => tensors(logits, classes.len()),
        };
        write_atomically(self.path, &bytes)
    }
}

/// A label as PyTorch has it, whose losses ignore -100.
fn number(label: u32) -> i64 {
    if label == IGNORED { -100 } else { label.into() }
}

fn table(logits: &Logits, classes: &[String]) -> Table {
    let header = std::iter::once("label".to_owned()).chain(classes.iter().cloned()).collect();
    let row = |(label, row): (&u32, &[f32])| {
        std::iter::once(number(*label).to_string()).chain(row.iter().map(f32::to_string)).collect()
    };
    Table { header, rows: logits.targets.iter().zip(logits.values.chunks(classes.len())).map(row).collect() }
}

fn tensors(logits: &Logits, classes: usize) -> Vec<u8> {
    let labels: Vec<i64> = logits.targets.iter().map(|&label| number(label)).collect();
    let rows = labels.len();
    let view = |dtype, shape, bytes| TensorView::new(dtype, shape, bytes).expect("lengths follow from shapes");
    let views = [
        ("logits", view(Dtype::F32, vec![rows, classes], bytemuck::cast_slice(&logits.values))),
        ("labels", view(Dtype::I64, vec![rows], bytemuck::cast_slice(&labels))),
    ];
    safetensors::serialize(views, None).expect("two names, and as many bytes as the shapes say")
}
