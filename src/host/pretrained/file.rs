//! A file of weights, whose tensors are read one at a time.

use std::path::Path;

use safetensors::Dtype;

use super::{dtype, recognize::Names};
use crate::{
    error::{Error, Result},
    host::{
        huggingface::names::{has_conv1d, is_conv1d, transposed},
        tensors::Tensors,
        weights::counters,
    },
    program::params::{Layout, Segment},
};

/// A file of weights and the names of its tensors.
pub(super) struct File {
    pub(super) tensors: Tensors,
    pub(super) names: Names,
    /// Whether the linear layers of blocks are Hugging Face's `Conv1D`.
    pub(super) conv1d: bool,
}

impl File {
    pub(super) fn new(tensors: Tensors, names: Names) -> Self {
        let shape = |name: &str| Some(&tensors.table.info(names.in_file(name)?)?.shape[..]);
        let conv1d = has_conv1d(shape);
        Self { tensors, names, conv1d }
    }

    /// Whether two tensors are there and are the same.
    ///
    /// # Errors
    /// [`Error::Io`] if they cannot be read.
    pub(super) fn same(&self, one: &str, other: &str) -> Result<bool> {
        let info = |name: &str| self.tensors.table.info(self.names.in_file(name)?);
        let (Some(one), Some(other)) = (info(one), info(other)) else { return Ok(false) };
        let comparable = (one.dtype, &one.shape) == (other.dtype, &other.shape);
        Ok(comparable && self.tensors.bytes(one)? == self.tensors.bytes(other)?)
    }

    /// Number of training batches in the running statistics: the first batch norm's `num_batches_tracked`, 0 if the
    /// file has none.
    pub(super) fn batches(&self, layout: &Layout) -> Result<i64> {
        let found = counters(layout).find_map(|name| Some((self.names.in_file(&name)?.to_owned(), name)));
        let Some((in_file, name)) = found else { return Ok(0) };
        let info = self.tensors.table.info(&in_file).expect("it is a name of the table");
        let wrong =
            |found: String| Error::data(self.tensors.path(), format!("`{name}` as one I64 of at least 0"), found, "");
        if info.dtype != Dtype::I64 || !info.shape.is_empty() {
            return Err(wrong(format!("{:?} of shape {:?}", info.dtype, info.shape)));
        }
        let bytes = self.tensors.bytes(info)?;
        let count = i64::from_le_bytes(*bytes.first_chunk().expect("the table was checked: eight bytes"));
        if count < 0 { Err(wrong(count.to_string())) } else { Ok(count) }
    }

    /// The values of one tensor, converted to f32.
    pub(super) fn floats(&self, segment: &Segment) -> Result<Vec<f32>> {
        let Segment { name, shape, .. } = segment;
        let path = self.tensors.path();
        let wrong = |expected: String, found: String| Error::data(path, expected, found, "");
        let mut stored = shape.dims();
        let turned = self.conv1d && is_conv1d(name);
        if turned {
            stored.reverse();
        }
        let expected = || format!("`{name}` of shape {stored:?}");
        let info = self.names.in_file(name).and_then(|name| self.tensors.table.info(name));
        let info = info.ok_or_else(|| wrong(expected(), "no such tensor".into()))?;
        if info.shape != stored {
            return Err(wrong(expected(), format!("shape {:?}", info.shape)));
        }
        if !dtype::is_float(info.dtype) {
            return Err(wrong(format!("`{name}` as F32, F16, BF16 or F64"), format!("{:?}", info.dtype)));
        }
        let values = dtype::to_f32(info.dtype, &self.tensors.bytes(info)?);
        let values = values.map_err(|found| wrong(format!("values of f32 in `{name}`"), found))?;
        check_values(path, name, &values)?;
        Ok(if turned { transposed(&values, stored[1]) } else { values })
    }
}

/// Refuses values that are not finite, and variances below 0.
pub(super) fn check_values(path: &Path, name: &str, values: &[f32]) -> Result<()> {
    let variance = name.ends_with("running_var");
    match values.iter().find(|v| !v.is_finite() || (variance && **v < 0.0)) {
        None => Ok(()),
        Some(value) => {
            let expected = if variance { "finite values of at least 0" } else { "finite values" };
            Err(Error::data(path, format!("{expected} in `{name}`"), value.to_string(), ""))
        }
    }
}
