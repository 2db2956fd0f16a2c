//! The weights of a network, and how they are initialized.

use crate::{
    program::params::{Init, Layout, Segment, Shape},
    random::Rng,
};

/// Key of the generator that draws initial weights.
const INIT: u64 = 0x1417;

/// Parameters and running statistics of a network, in the stored layout.
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
    /// Initial weights, drawn tensor by tensor from (seed, name): networks that share a tensor start with the same
    /// values. Weights that depend on images are added by
    /// [`whiten::first_weights`](crate::training::whiten::first_weights).
    pub fn init(layout: &Layout, seed: u64) -> Self {
        let mut weights = Self::zeros(layout);
        for (segments, arena) in [(&layout.params, &mut weights.params), (&layout.running, &mut weights.running)] {
            segments.iter().for_each(|segment| put(arena, segment, &draw(segment, seed)));
        }
        weights
    }

    /// Arenas of zeros.
    pub(crate) fn zeros(layout: &Layout) -> Self {
        let params = vec![0.0; layout.param_floats() as usize];
        Self { params, running: vec![0.0; layout.running_floats() as usize], batches: 0 }
    }
}

/// Writes the values of a tensor, given in PyTorch's order, to its place in an arena.
pub fn put(arena: &mut [f32], segment: &Segment, values: &[f32]) {
    let stored = segment.shape.to_stored(values);
    arena[segment.offset as usize..][..stored.len()].copy_from_slice(&stored);
}

/// Reads the values of a tensor, in PyTorch's order, from its place in an arena.
pub fn take(arena: &[f32], segment: &Segment) -> Vec<f32> {
    segment.shape.from_stored(&arena[segment.offset as usize..][..segment.shape.stored() as usize])
}

fn draw(segment: &Segment, seed: u64) -> Vec<f32> {
    let name = crc32fast::hash(segment.name.as_bytes());
    let mut rng = Rng::keyed(seed, &[INIT, u64::from(name)]);
    let count = segment.shape.elements();
    match segment.init {
        Init::Constant(value) => vec![value; count],
        Init::Normal(deviation) => (0..count).map(|_| (f64::from(deviation) * rng.normal()) as f32).collect(),
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
        Init::Within(bound) => (0..count).map(|_| rng.range(-f64::from(bound), f64::from(bound)) as f32).collect(),
        Init::Dirac => {
            let (dims, mut values) = (segment.shape.dims(), pytorch_convolution(segment.shape, &mut rng));
            let filter = dims[1..].iter().product::<usize>();
            for k in 0..dims[0].min(dims[1]) {
                let taps = &mut values[k * filter..][..filter];
                taps.fill(0.0);
                taps[(k * dims[2] + dims[2] / 2) * dims[3] + dims[3] / 2] = 1.0;
            }
            values
        }
        Init::UnitVariance => {
            let values: Vec<f64> = (0..count).map(|_| rng.range(-1.0, 1.0)).collect();
            let mean = values.iter().sum::<f64>() / count as f64;
            let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
            let deviation = (squares / (count - 1).max(1) as f64).sqrt();
            values.iter().map(|v| (v / deviation) as f32).collect()
        }
        Init::Whiten => pytorch_convolution(segment.shape, &mut rng),
    }
}

/// Uniform in +-1/sqrt(fan_in): `kaiming_uniform_` with `a = sqrt(5)`, as PyTorch initializes convolutions.
fn pytorch_convolution(shape: Shape, rng: &mut Rng) -> Vec<f32> {
    let dims = shape.dims();
    let bound = 1.0 / (dims[1..].iter().product::<usize>() as f64).sqrt();
    (0..shape.elements()).map(|_| rng.range(-bound, bound) as f32).collect()
}
