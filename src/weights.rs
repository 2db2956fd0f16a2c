//! Weights as safetensors, with torchvision's names, shapes and layouts.

use std::path::Path;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    error::{Error, Result},
    files::write_atomically,
    models::{Config, Stem},
    params::{Init, Layout, Segment},
    random::Rng,
    tensors::Tensors,
    train::check_width,
};

/// Most bytes of a file's table of tensors; ResNet-18's takes 12,000.
const HEADER_LIMIT: u64 = 1 << 20;

/// Key of the generator that draws first weights.
const INIT: u64 = 0x1417;

/// The values of a network in the stored layout.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The arena `params`.
    pub params: Vec<f32>,
    /// The arena `running`.
    pub running: Vec<f32>,
    /// Training batches that the running statistics have seen.
    pub batches: i64,
}

impl Weights {
    /// First weights, drawn tensor by tensor from (seed, name): a network of other layers keeps what it shares.
    pub fn init(layout: &Layout, seed: u64) -> Self {
        let mut params = vec![0.0; layout.param_floats() as usize];
        for segment in &layout.params {
            put(&mut params, segment, &draw(segment, seed));
        }
        let mut running = vec![0.0; layout.running_floats() as usize];
        for segment in &layout.running {
            put(&mut running, segment, &draw(segment, seed));
        }
        Self { params, running, batches: 0 }
    }

    /// Reads a file that holds every tensor of `layout` (others are refused).
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Data`], naming the tensor and both shapes.
    pub fn load(path: &Path, layout: &Layout) -> Result<Self> {
        let values = u64::from(layout.param_floats()) + u64::from(layout.running_floats());
        let (_, bytes) = Tensors::open(path, HEADER_LIMIT)?.read(4 * values + HEADER_LIMIT)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| Tensors::none(path, &e))?;
        let mut weights = Self::init(layout, 0);
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
    pub fn save(&self, path: &Path, layout: &Layout) -> Result<()> {
        let batches = [self.batches];
        let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
        for (segments, arena) in [(&layout.params, &self.params), (&layout.running, &self.running)] {
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
}

/// Stem, width and classes of a ResNet, from the shapes in a file.
///
/// # Errors
/// [`Error::Io`] or [`Error::Data`] if the file holds no ResNet.
pub fn config_of(path: &Path) -> Result<Config> {
    let table = Tensors::open(path, HEADER_LIMIT)?.table;
    let shape = |name: &str| -> Result<Vec<u32>> {
        let info = table.info(name).ok_or_else(|| {
            let found = format!("{} tensors, none of that name", table.tensors().len());
            Error::data(path, format!("a tensor `{name}`, as torchvision's ResNet has"), found, "")
        })?;
        let dims = info.shape.iter().map(|&d| u32::try_from(d).unwrap_or(u32::MAX));
        Ok(dims.collect())
    };
    let (conv1, fc) = (shape("conv1.weight")?, shape("fc.weight")?);
    let stem = match conv1[..] {
        [_, 3, 7, 7] => Some(Stem::Imagenet),
        [_, 3, 3, 3] => Some(Stem::Cifar),
        _ => None,
    };
    match (stem, &fc[..]) {
        // The last stage has eight times the width. Sizes beyond these are no file of ours and would only ask for memory.
        (Some(stem), &[classes, inputs])
            if check_width(conv1[0]).is_ok() && inputs == 8 * conv1[0] && (1..=65_536).contains(&classes) =>
        {
            Ok(Config { stem, width: conv1[0], classes })
        }
        _ => Err(Error::data(
            path,
            "conv1.weight of shape [width, 3, 7, 7] or [width, 3, 3, 3], width up to 1024, and fc.weight of [classes, 8 width]",
            format!("{conv1:?} and {fc:?}"),
            "",
        )),
    }
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

fn put(arena: &mut [f32], segment: &Segment, values: &[f32]) {
    let stored = segment.shape.to_stored(values);
    arena[segment.offset as usize..][..stored.len()].copy_from_slice(&stored);
}

fn take(arena: &[f32], segment: &Segment) -> Vec<f32> {
    segment.shape.from_stored(&arena[segment.offset as usize..][..segment.shape.stored() as usize])
}

fn draw(segment: &Segment, seed: u64) -> Vec<f32> {
    let name = crc32fast::hash(segment.name.as_bytes());
    let mut rng = Rng::keyed(seed, &[INIT, u64::from(name)]);
    let count = segment.shape.elements();
    match segment.init {
        Init::Constant(value) => vec![value; count],
        Init::KaimingFanOut => {
            let dims = segment.shape.dims();
            let fan_out = dims[0] * dims.iter().skip(2).product::<usize>();
            let deviation = (2.0 / fan_out as f64).sqrt();
            (0..count).map(|_| (deviation * rng.normal()) as f32).collect()
        }
        Init::Uniform { fan } => {
            let bound = 1.0 / f64::from(fan).sqrt();
            (0..count).map(|_| rng.range(-bound, bound) as f32).collect()
        }
    }
}
