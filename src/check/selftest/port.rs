//! Names for the buffers of a recording, and the order of the elements in each.
//!
//! The order is stated here independently of [`Shape::to_stored`], which the program uses, so that the two check each
//! other.

use crate::program::{
    BufferKind, Dtype, Recording, Slot, Tensor, TensorInfo,
    params::{Shape, padded},
    shader::Access,
};

/// Where a value is stored, stated while the op is recorded.
#[derive(Clone, Debug)]
pub enum At {
    /// An activation or the gradient of one.
    Tensor(Tensor),
    /// The same as rows of channels, one for each place of each sample: `[n][h][w][c]`.
    Rows(Tensor),
    /// A parameter.
    Param(&'static str),
    /// A parameter's gradient.
    Gradient(&'static str),
    /// A running statistic.
    Running(&'static str),
    /// Words of another persistent buffer.
    Buffer {
        /// What it holds.
        kind: BufferKind,
        /// The index of its first word.
        first: u32,
        /// The number of words.
        words: u32,
    },
    /// Working memory that an op does not return, found by a call that uses it.
    Scratch {
        /// The kernel; its first call counts.
        kernel: &'static str,
        /// The index of the argument.
        argument: usize,
    },
}

/// A buffer of a case by name.
#[derive(Clone, Debug)]
pub struct Port {
    /// PyTorch's name, or that in the golden files, if it has one.
    pub name: &'static str,
    /// Where it is stored.
    pub at: At,
    /// Whether it holds `u32` words rather than floating-point numbers.
    pub integer: bool,
}

impl Port {
    /// A port of floating-point numbers.
    pub fn new(name: &'static str, at: At) -> Self {
        Self { name, at, integer: false }
    }

    /// A port of `u32`.
    pub fn integers(name: &'static str, at: At) -> Self {
        Self { name, at, integer: true }
    }
}

/// How the elements of a port are stored in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    U32,
    F32,
    /// Two elements in a word.
    F16,
}

impl Word {
    /// The nearest value that can be stored; 0 if it would be subnormal as f16, which a device may flush.
    pub fn round(self, value: f64) -> f64 {
        match self {
            Self::U32 => f64::from(value as u32),
            Self::F32 => f64::from(value as f32),
            Self::F16 => {
                let nearest = half::f16::from_f64(value);
                if nearest.is_normal() { nearest.to_f64() } else { 0.0 }
            }
        }
    }

    /// The element at index `place`.
    pub fn get(self, words: &[u32], place: usize) -> f64 {
        match self {
            Self::U32 => f64::from(words[place]),
            Self::F32 => f64::from(f32::from_bits(words[place])),
            Self::F16 => half::f16::from_bits((words[place / 2] >> (16 * (place % 2))) as u16).to_f64(),
        }
    }

    /// Stores the value nearest to `value` at index `place`.
    pub fn set(self, words: &mut [u32], place: usize, value: f64) {
        match self {
            Self::U32 => words[place] = value as u32,
            Self::F32 => words[place] = (value as f32).to_bits(),
            Self::F16 => {
                let shift = 16 * (place % 2);
                let bits = u32::from(half::f16::from_f64(value).to_bits());
                words[place / 2] = words[place / 2] & !(0xffff << shift) | bits << shift;
            }
        }
    }

    /// The number of elements in a word.
    pub fn per_word(self) -> usize {
        if self == Self::F16 { 2 } else { 1 }
    }
}

/// A port after the recording has ended.
pub(super) struct Wire {
    pub port: Port,
    pub slot: Slot,
    pub word: Word,
    /// The number of words as stored.
    pub words: usize,
    /// The stored index of every element in PyTorch's order.
    pub places: Vec<usize>,
    /// The last kernel that writes it.
    pub writer: Option<String>,
}

impl Wire {
    pub fn new(recording: &Recording, port: Port) -> Self {
        let buffer =
            |kind: &BufferKind| recording.buffer(kind).unwrap_or_else(|| panic!("selftest: no call mentions `{kind}`"));
        let segment = |list: &[crate::program::params::Segment], kind: &BufferKind, name: &str| {
            let found = list.iter().find(|s| s.name == name);
            let s = found.unwrap_or_else(|| panic!("selftest: no parameter is called `{name}`"));
            let (offset, bytes) = (4 * u64::from(s.offset), 4 * u64::from(s.shape.stored()));
            (Slot::Buffer { buffer: buffer(kind), offset, bytes }, places_of_shape(s.shape))
        };
        let layout = &recording.layout;
        let (slot, places) = match &port.at {
            At::Tensor(t) => ((*t).into(), places_of(recording.info(*t))),
            At::Rows(t) => ((*t).into(), places_of_rows(recording.info(*t))),
            At::Param(name) => segment(&layout.params, &BufferKind::Params, name),
            At::Gradient(name) => segment(&layout.params, &BufferKind::Grads, name),
            At::Running(name) => segment(&layout.running, &BufferKind::Running, name),
            At::Buffer { kind, first, words } => {
                let (offset, bytes) = (4 * u64::from(*first), 4 * u64::from(*words));
                (Slot::Buffer { buffer: buffer(kind), offset, bytes }, (0..*words as usize).collect())
            }
            At::Scratch { kernel, argument } => {
                let call = recording.calls.iter().find(|call| call.spec.path == *kernel);
                let call = call.unwrap_or_else(|| panic!("selftest: no call of `{kernel}`"));
                let Slot::Tensor(t) = call.args[*argument].0 else {
                    panic!("selftest: `{kernel}` keeps no scratch there")
                };
                (t.into(), places_of(recording.info(t)))
            }
        };
        let words = match &slot {
            Slot::Tensor(t) => recording.info(*t).words,
            Slot::Buffer { bytes, .. } => bytes / 4,
        };
        let writer = recording.calls.iter().rev().find(|call| {
            call.args.iter().any(|(written, access)| *access == Access::ReadWrite && overlap(written, &slot))
        });
        let writer = writer.map(|call| call.spec.to_string());
        let word = match recording.dtype(&slot) {
            _ if port.integer => Word::U32,
            Dtype::F32 => Word::F32,
            Dtype::F16 => Word::F16,
            Dtype::U32 => Word::U32,
        };
        Self { port, slot, word, words: words as usize, places, writer }
    }
}

fn overlap(a: &Slot, b: &Slot) -> bool {
    match (a, b) {
        (Slot::Tensor(a), Slot::Tensor(b)) => a == b,
        (Slot::Buffer { buffer: a, offset: at, bytes: len }, Slot::Buffer { buffer: b, offset, bytes }) => {
            a == b && at < &(offset + bytes) && offset < &(at + len)
        }
        _ => false,
    }
}

/// Indices in `[h][w][n][c padded]` of elements in the order `[n][c][h][w]`.
pub(super) fn places_of_map(shape: [u32; 4]) -> Vec<usize> {
    places(shape, padded(shape[3]))
}

/// [`places_of_map`] for elements of any type.
fn places_of(info: &TensorInfo) -> Vec<usize> {
    places(info.shape, info.dtype.stored(info.shape[3]))
}

/// Indices in `[h][w][n][pitch]` of elements in the order `[n][c][h][w]`.
fn places(shape: [u32; 4], pitch: u32) -> Vec<usize> {
    let ([n, h, w, c], pitch) = (shape.map(|length| length as usize), pitch as usize);
    let mut places = Vec::with_capacity(n * c * h * w);
    for n_index in 0..n {
        for c_index in 0..c {
            for h_index in 0..h {
                places.extend((0..w).map(|w_index| ((h_index * w + w_index) * n + n_index) * pitch + c_index));
            }
        }
    }
    places
}

/// Indices in `[h][w][n][c padded]`, where whole numbers are not padded, of elements in the order `[n][h][w][c]`.
fn places_of_rows(info: &TensorInfo) -> Vec<usize> {
    let ([n, h, w, c], pitch) = (info.shape, info.dtype.stored(info.shape[3]));
    let mut places = Vec::new();
    for n_index in 0..n {
        for place in 0..h * w {
            places.extend((0..c).map(|c_index| ((place * n + n_index) * pitch + c_index) as usize));
        }
    }
    places
}

/// Indices in `[k][r][s][c padded]` of elements in the order `[k][c][r][s]`.
fn places_of_shape(shape: Shape) -> Vec<usize> {
    let (k, c, r, s) = match shape {
        Shape::Filter { k, c, r, s } => (k, c, r, s),
        Shape::Matrix { outputs, inputs } => (outputs, inputs, 1, 1),
        Shape::Rows { rows, c } => (rows, c, 1, 1),
        Shape::Vector { c } => (1, c, 1, 1),
    };
    let pitch = padded(c);
    let mut places = Vec::new();
    for k in 0..k {
        for c in 0..c {
            for tap in 0..r * s {
                places.push(((k * r * s + tap) * pitch + c) as usize);
            }
        }
    }
    places
}
