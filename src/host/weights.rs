//! Weights as safetensors, with torchvision's names, shapes and layouts.

use std::path::Path;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{files::write_atomically, tensors::Tensors};
use crate::{
    error::{Error, Result},
    models::{self, Config, Model, check_width},
    program::params::{Layout, Segment},
    training::weights::{Weights, put, take},
};

/// Most bytes of a file's table of tensors; ResNet-18's takes 12,000.
const HEADER_LIMIT: u64 = 1 << 20;

/// Reads a file that holds every tensor of `layout` (others are refused).
///
/// # Errors
/// [`Error::Io`] or [`Error::Data`], naming the tensor and both shapes.
pub fn load(path: &Path, layout: &Layout) -> Result<Weights> {
    let values = u64::from(layout.param_floats()) + u64::from(layout.running_floats());
    let (_, bytes) = Tensors::open(path, HEADER_LIMIT)?.read(4 * values + HEADER_LIMIT)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| Tensors::none(path, &e))?;
    let mut weights = Weights::init(layout, 0);
    for segment in &layout.params {
        put(&mut weights.params, segment, &floats(path, &file, segment)?);
    }
    for segment in &layout.running {
        put(&mut weights.running, segment, &floats(path, &file, segment)?);
    }
    let counters: Vec<String> = counters(layout).collect();
    if let Some((name, view)) = counters.first().and_then(|name| Some((name, file.tensor(name).ok()?))) {
        let value = bytemuck::pod_collect_to_vec::<u8, i64>(view.data()).first().copied();
        let sound = view.dtype() == Dtype::I64 && view.shape().is_empty();
        weights.batches = value.filter(|&count| sound && count >= 0).ok_or_else(|| {
            let found = format!("{:?} of shape {:?}", view.dtype(), view.shape());
            Error::data(path, format!("`{name}` as one I64 of at least 0"), found, "")
        })?;
    }
    let known = |name: &str| {
        let mut segments = layout.params.iter().chain(&layout.running);
        segments.any(|s| s.name == name) || counters.iter().any(|c| c == name)
    };
    match file.names().into_iter().find(|name| !known(name)) {
        None => Ok(weights),
        Some(name) => Err(Error::data(path, "the tensors of this network alone", format!("also {name:?}"), "")),
    }
}

/// Writes the file, all or nothing.
///
/// # Errors
/// [`Error::Io`].
pub fn save(weights: &Weights, path: &Path, layout: &Layout) -> Result<()> {
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
    let bytes = safetensors::serialize(views, None).map_err(|e| Error::Io {
        action: "write",
        path: path.into(),
        source: std::io::Error::other(e),
    })?;
    write_atomically(path, &bytes)
}

/// The model whose weights a file holds, and its size, from names and shapes.
///
/// # Errors
/// [`Error::Io`] or [`Error::Data`] if they are no model's.
pub fn recognize(path: &Path) -> Result<(&'static Model, Config)> {
    let table = Tensors::open(path, HEADER_LIMIT)?.table;
    let shape = |name: &str| -> Option<Vec<u32>> {
        let dims = table.info(name)?.shape.iter().map(|&d| u32::try_from(d).unwrap_or(u32::MAX));
        Some(dims.collect())
    };
    let Some(model) = models::ALL.iter().find(|model| shape(model.known_by[0]).is_some()) else {
        let first: Vec<String> = models::ALL.iter().map(|m| format!("`{}` ({})", m.known_by[0], m.name)).collect();
        let found = format!("{} tensors, none of that name", table.tensors().len());
        return Err(Error::data(path, format!("a tensor {}", first.join(" or ")), found, ""));
    };
    let [first, last] = model.known_by.map(|name| shape(name).unwrap_or_default());
    // Sizes beyond these are no file of ours and would only ask for memory.
    let sound = |c: &Config| check_width(c.width).is_ok() && (1..=65_536).contains(&c.classes);
    (model.config_of)(&first, &last).filter(sound).map(|config| (model, config)).ok_or_else(|| {
        let [first_name, last_name] = model.known_by;
        let expected = format!("{first_name} and {last_name} of {}: {}", model.name, model.shapes);
        Error::data(path, expected, format!("{first:?} and {last:?}"), "")
    })
}

fn floats(path: &Path, file: &SafeTensors<'_>, segment: &Segment) -> Result<Vec<f32>> {
    let Segment { name, shape, .. } = segment;
    let expected = || format!("`{name}` of shape {:?}, F32", shape.dims());
    let view = file.tensor(name).map_err(|_| Error::data(path, expected(), "no such tensor", ""))?;
    if view.shape() != shape.dims() || view.dtype() != Dtype::F32 {
        let found = format!("`{name}` of shape {:?}, {:?}", view.shape(), view.dtype());
        return Err(Error::data(path, expected(), found, "--width, --stem and the classes decide the shapes"));
    }
    let values: Vec<f32> = bytemuck::pod_collect_to_vec(view.data());
    let least = if name.ends_with("running_var") { 0.0 } else { f32::NEG_INFINITY };
    match values.iter().find(|v| !v.is_finite() || **v < least) {
        None => Ok(values),
        Some(value) => Err(Error::data(path, format!("finite values in `{name}`"), value.to_string(), "")),
    }
}

/// `num_batches_tracked` of every batch norm.
fn counters(layout: &Layout) -> impl Iterator<Item = String> {
    let means = layout.running.iter().filter_map(|s| s.name.strip_suffix("running_mean"));
    means.map(|prefix| format!("{prefix}num_batches_tracked"))
}
