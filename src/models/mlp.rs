//! A multilayer perceptron: `nn.Sequential` of `Flatten`, then `Linear` and `ReLU` for each hidden layer, `Dropout`, and
//! `Linear`, with PyTorch's names and first weights.

use super::{Config, Model, Read, ShapeOf, Signature, in_f32, linear_relu};
use crate::{
    data::Image,
    ops::{dropout, flatten, linear},
    program::{Tape, Tensor},
    settings::Setting,
};

/// The model's entry in the registry.
pub const MODEL: Model = Model {
    about: "multilayer perceptron with ReLU",
    settings: || {
        vec![
            Setting::whole("width", 256, 1, Some(65_536), "the units of each hidden layer"),
            Setting::whole("depth", 2, 1, Some(64), "the number of hidden layers"),
        ]
    },
    known_by: Some(Signature {
        first: "1.weight",
        last: |config| {
            let depth = config.settings.whole("depth");
            format!("{}.weight", index(depth, depth))
        },
        shapes: "[width, channels * height * width], and the last [classes, width]",
        is: |shape| matches!(shape("1.weight").as_deref(), Some([_, _])),
        read,
    }),
    ..Model::new("mlp", record)
};

/// The index of a layer in the `nn.Sequential`: of hidden layer `nth`, or of the last one.
fn index(nth: u32, depth: u32) -> u32 {
    // `Flatten` is 0, and `Dropout` comes before the last layer.
    if nth < depth { 1 + 2 * nth } else { 2 + 2 * depth }
}

fn read(shape: &ShapeOf<'_>) -> Option<Read> {
    let [width, inputs] = shape("1.weight")?[..] else { return None };
    let hidden = |nth: u32| shape(&format!("{}.weight", index(nth, u32::MAX / 4))).is_some_and(|s| s == [width, width]);
    let depth = 1 + (1..64).take_while(|&nth| hidden(nth)).count() as u32;
    let [classes, _] = shape(&format!("{}.weight", index(depth, depth)))?[..] else { return None };
    let settings = vec![("width".into(), width.to_string()), ("depth".into(), depth.to_string())];
    Some(Read { settings, classes, input: image_of(inputs).map(Into::into) })
}

/// Square images with so many values: in grey, or else in three colours.
fn image_of(inputs: u32) -> Option<Image> {
    let square = |channels: u32| {
        let side = (f64::from(inputs) / f64::from(channels)).sqrt() as u32;
        (channels * side * side == inputs).then_some(Image { channels, height: side, width: side })
    };
    square(1).or_else(|| square(3))
}

/// Images `[n, h, w, c]` to logits `[n, 1, 1, classes]`.
fn record(t: &mut Tape, images: Tensor, config: &Config) -> Tensor {
    let (width, depth) = (config.settings.whole("width"), config.settings.whole("depth"));
    let mut x = t.scope("0", |t| flatten(t, images));
    t.no_gradient(x);
    for nth in 0..depth {
        x = t.scope(index(nth, depth).to_string(), |t| linear_relu(t, x, width));
    }
    x = t.scope((index(depth, depth) - 1).to_string(), |t| dropout(t, x, t.dropout));
    x = in_f32(t, x);
    t.scope(index(depth, depth).to_string(), |t| linear(t, x, config.classes))
}
