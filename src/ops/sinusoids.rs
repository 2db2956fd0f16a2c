//! Positions that are not learned: sines and cosines of wavelengths in a geometric progression.

use super::elementwise::{pass_gradient, vectors};
use crate::program::{Op, Tape, Tensor, params::padded};

/// The longest wavelength is `2 pi` times this, less the step of the progression.
const BASE: f64 = 10_000.0;

/// `y = x + p[place]`, with `p[place][2i] = sin(place * 10000^(-2i/c))` and `p[place][2i+1]` its cosine. Takes and returns
/// `[n, h, w, c]`. Vaswani and others 2017, section 3.5.
pub fn add_sinusoids(t: &mut Tape, x: Tensor) -> Tensor {
    let shape = t.shape(x);
    let [n, h, w, c] = shape;
    let (places, stored) = (h * w, padded(c));
    let positions = t.table(format!("sinusoids {places}x{c}"), places * stored, move || table(places, c));
    let y = t.tensor_of(t.dtype(x), shape);
    let (len4, c4) = (vectors(t, x), stored / 4);
    let call = t.call("embedding/add_positions").sizes([("len4", len4), ("n", n), ("c4", c4)]);
    call.read(x).read(positions).write(y).over(len4);
    t.note(x, [Op::Sinusoids], y);
    t.on_backward(y, move |t, d_y| pass_gradient(t, d_y, x));
    y
}

/// A row for each place, with zeros behind its channels.
pub(crate) fn table(places: u32, c: u32) -> Vec<f32> {
    let of = |place: u32, channel: u32| {
        let angle = f64::from(place) * BASE.powf(-f64::from(channel / 2 * 2) / f64::from(c));
        let value = if channel.is_multiple_of(2) { angle.sin() } else { angle.cos() };
        if channel < c { value as f32 } else { 0.0 }
    };
    (0..places).flat_map(|place| (0..padded(c)).map(move |channel| of(place, channel))).collect()
}
