//! Rotary position embedding: queries and keys turned by their place, so that their products depend on the distance.

use crate::program::{Op, Slot, Tape, Tensor};

/// The wavelengths of the slowest pairs are near `2 pi` times this, as in RoFormer and LLaMA.
const BASE: f64 = 10_000.0;

/// Queries and keys of each head with the channels `i` and `i + d/2` rotated by `place * 10000^(-2i/d)`; values as they are.
/// Takes and returns all three side by side, `[n, h, w, 3 c]`, as [`attention`](super::attention) takes them. Su and others 2021;
/// the pairs are those of GPT-NeoX and LLaMA (`rotate_half`).
///
/// # Panics
/// If a head's channels are not a multiple of eight.
pub fn rope(t: &mut Tape, qkv: Tensor, heads: u32) -> Tensor {
    let shape = t.shape(qkv);
    let [n, h, w, all] = shape;
    assert!(all.is_multiple_of(24 * heads), "rope: {heads} heads on an input of shape {shape:?}");
    let (places, d) = (h * w, all / (3 * heads));
    let angles = t.table(format!("rope {places}x{d}"), places * d, move || table(places, d));
    let y = t.tensor_of(t.dtype(qkv), shape);
    let turn = move |t: &mut Tape, from: Tensor, to: Tensor, [back, accumulate]: [bool; 2], angles: Slot| {
        let len8 = n * places * all / 8;
        let sizes = [("len8", len8), ("n", n), ("heads", heads), ("d8", d / 8)];
        let call = t.call("rope/rotate").constant("BACK", back).constant("ACCUMULATE", accumulate).sizes(sizes);
        call.read(from).read(angles).write(to).over(len8);
    };
    turn(t, qkv, y, [false, false], angles);
    t.note(qkv, [Op::Rope { heads }], y);
    t.on_backward(y, move |t, d_y| {
        let (d_x, accumulate) = t.write_gradient(qkv);
        turn(t, d_y, d_x, [true, accumulate], angles);
    });
    y
}

/// For each place the cosines of the angles of all pairs, and their sines. A device's own would be as good as its driver: WGSL
/// bounds their error only between -pi and pi, and there by 2^-11.
pub(crate) fn table(places: u32, d: u32) -> Vec<f32> {
    let mut table = vec![];
    for place in 0..places {
        let angles = (0..d / 2).map(|i| f64::from(place) * BASE.powf(-2.0 * f64::from(i) / f64::from(d)));
        table.extend(angles.clone().map(|angle| angle.cos() as f32));
        table.extend(angles.map(|angle| angle.sin() as f32));
    }
    table
}
