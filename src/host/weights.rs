//! Writes weights as safetensors, with torchvision's names, shapes and layouts.
//! [`Pretrained`](super::pretrained::Pretrained) reads them.

use std::{collections::HashMap, path::Path};

use safetensors::{Dtype, SafeTensorError, tensor::TensorView};

use super::files::write_atomically;
use crate::{
    error::{Error, Result},
    program::params::Layout,
    training::{
        provenance::{self, Provenance},
        weights::{Weights, take},
    },
};

/// Writes the file atomically; its metadata hold the origin of the weights, if that is known.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written.
pub fn save(weights: &Weights, path: &Path, layout: &Layout, provenance: Option<&Provenance>) -> Result<()> {
    write_atomically(path, &serialize(weights, layout, provenance).map_err(written(path))?)
}

/// The bytes of the file that [`save`] writes.
///
/// # Errors
/// [`Error::Io`] if the weights are more than such a file can hold.
pub fn bytes(weights: &Weights, layout: &Layout, provenance: Option<&Provenance>) -> Result<Vec<u8>> {
    serialize(weights, layout, provenance).map_err(written(Path::new("model.safetensors")))
}

fn serialize(
    weights: &Weights,
    layout: &Layout,
    provenance: Option<&Provenance>,
) -> std::result::Result<Vec<u8>, SafeTensorError> {
    let batches = [weights.batches];
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    for (segments, arena) in [(&layout.params, &weights.params), (&layout.running, &weights.running)] {
        for segment in segments {
            tensors.push((segment.name.clone(), segment.shape.dims(), take(arena, segment)));
        }
    }
    let view = |dtype, shape, bytes| TensorView::new(dtype, shape, bytes).expect("lengths follow from shapes");
    let mut views: Vec<(String, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, shape, values)| (name.clone(), view(Dtype::F32, shape.clone(), bytemuck::cast_slice(values))))
        .collect();
    views.extend(counters(layout).map(|name| (name, view(Dtype::I64, vec![], bytemuck::cast_slice(&batches)))));
    with_metadata(views, provenance.map(|from| (provenance::KEY, from.to_text())))
}

/// Writes tensors atomically, with a key of metadata. There is one only: the order of several would vary, and equal weights must
/// give equal files.
///
/// # Errors
/// [`Error::Io`] if the file cannot be written.
pub(super) fn write(
    path: &Path,
    tensors: Vec<(String, TensorView<'_>)>,
    metadata: Option<(&str, String)>,
) -> Result<()> {
    write_atomically(path, &with_metadata(tensors, metadata).map_err(written(path))?)
}

fn with_metadata(
    tensors: Vec<(String, TensorView<'_>)>,
    metadata: Option<(&str, String)>,
) -> std::result::Result<Vec<u8>, SafeTensorError> {
    let metadata = metadata.map(|(key, text)| HashMap::from([(key.to_owned(), text)]));
    safetensors::serialize(tensors, metadata)
}

/// The error for tensors that no file can hold.
fn written(path: &Path) -> impl FnOnce(SafeTensorError) -> Error {
    move |error| Error::Io { action: "write", path: path.into(), source: std::io::Error::other(error) }
}

/// The names of `num_batches_tracked` of every batch norm.
pub(super) fn counters(layout: &Layout) -> impl Iterator<Item = String> {
    let means = layout.running.iter().filter_map(|s| s.name.strip_suffix("running_mean"));
    means.map(|prefix| format!("{prefix}num_batches_tracked"))
}
