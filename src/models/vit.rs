//! The vision transformer (Dosovitskiy, Beyer, Kolesnikov and others 2021): patches of an image as the tokens of pre-norm
//! transformer blocks, with the names and the first weights of timm's `VisionTransformer`, which cuts off draws at -2 and 2: no draw
//! with a standard deviation of 0.02 is so large.

use super::{
    Config, Model, Preset, Quick, Read, ShapeOf, Signature, in_f32,
    transformer::{self, DEVIATION, usual_heads},
};
use crate::{
    data::Image,
    error::{Error, Result},
    ops::{
        Activation, Attention, Conv2d, LayerNorm, add, add_positions, attention, bias, class_token, conv2d_of, dropout,
        first_place, global_avg_pool, layer_norm, linear_of,
    },
    program::{
        Tape, Tensor,
        params::{Init, Role, Shape},
    },
    settings::{Setting, Settings},
};

/// The model's entry in the registry.
pub const MODEL: Model = Model {
    about: "ViT: a transformer of an image's patches, as timm has it",
    settings,
    presets: PRESETS,
    quick: Quick::Set(&[("width", "48"), ("depth", "4"), ("heads", "3")]),
    check,
    known_by: Some(Signature {
        first: PATCHES,
        last: |_| HEAD.into(),
        shapes: "[width, channels, patch, patch], and [classes, width]",
        is: |shape| shape("blocks.0.attn.qkv.weight").is_some(),
        read,
    }),
    untold: |_| vec!["heads"],
    ..Model::new("vit", record)
};

const PATCHES: &str = "patch_embed.proj.weight";
const POSITIONS: &str = "pos_embed";
const TOKEN: &str = "cls_token";
const HEAD: &str = "head.weight";

/// The sizes of the paper, and DeiT's tiny and small ones (Touvron and others 2021), with patches for images of 224 pixels.
const PRESETS: &[Preset] = &[
    Preset { name: "tiny", set: &[("patch", "16"), ("width", "192"), ("depth", "12"), ("heads", "3")] },
    Preset { name: "small", set: &[("patch", "16"), ("width", "384"), ("depth", "12"), ("heads", "6")] },
    Preset { name: "base", set: &[("patch", "16"), ("width", "768"), ("depth", "12"), ("heads", "12")] },
    Preset { name: "large", set: &[("patch", "16"), ("width", "1024"), ("depth", "24"), ("heads", "16")] },
];

fn settings() -> Vec<Setting> {
    vec![
        Setting::whole(
            "patch",
            4,
            1,
            Some(256),
            "rows and columns of a patch; the paper has 16 for images of 224 pixels",
        ),
        Setting::whole("width", 192, 4, Some(65_536), "the channels; the paper's base size has 768"),
        Setting::whole("depth", 12, 1, Some(256), "the number of blocks"),
        Setting::whole("heads", 3, 1, Some(1024), "the number of heads, each with an equal share of the channels"),
        Setting::choice(
            "pool",
            &["token", "avg"],
            "what is classified: a class token's result, or the mean over all patches",
        ),
    ]
}

fn check(config: &Config) -> Result<()> {
    let (patch, image) = (config.settings.whole("patch"), config.image());
    if !image.height.is_multiple_of(patch) || !image.width.is_multiple_of(patch) {
        let message = format!("patches of {patch} pixels do not fill images of {}x{}", image.height, image.width);
        return Err(Error::config(message, "'model_set' patch=SIZE divides the height and the width of the images"));
    }
    let patches = u64::from(image.height / patch) * u64::from(image.width / patch);
    transformer::check(&config.settings, patches + 1, 0)
}

fn read(shape: &ShapeOf<'_>) -> Option<Read> {
    let [width, channels, patch, columns] = shape(PATCHES)?[..] else { return None };
    let [1, rows, _] = shape(POSITIONS)?[..] else { return None };
    let [classes, _] = shape(HEAD)?[..] else { return None };
    let depth = (0..256).take_while(|block| shape(&format!("blocks.{block}.norm1.weight")).is_some()).count();
    let token = shape(TOKEN).is_some();
    let settings = [
        ("patch", patch.to_string()),
        ("width", width.to_string()),
        ("depth", depth.to_string()),
        ("heads", usual_heads(width).to_string()),
        ("pool", if token { "token" } else { "avg" }.to_owned()),
    ];
    // The positions tell how many patches an image has; most images are squares.
    let patches = rows.checked_sub(u32::from(token))?;
    let side = patches.isqrt();
    let pixels = side.checked_mul(patch).filter(|_| side * side == patches && patch == columns);
    let input = pixels.map(|side| Image { channels, height: side, width: side }.into());
    Some(Read { settings: settings.map(|(key, value)| (key.to_owned(), value)).to_vec(), classes, input })
}

/// Images `[n, h, w, c]` to logits `[n, 1, 1, classes]`. Dropout is where the paper has it: behind each linear layer but those of
/// queries, keys and values, and behind the positions.
fn record(t: &mut Tape, images: Tensor, config: &Config) -> Tensor {
    let set = &config.settings;
    let [patch, width] = ["patch", "width"].map(|key| set.whole(key));
    let token = set.choice("pool") == "token";
    let mut x = t.scope("patch_embed.proj", |t| {
        let choices = Conv2d { outputs: width, kernel: patch, stride: patch, padding: 0 };
        // The first weights are those of PyTorch's Conv2d, which timm keeps.
        let init = Init::Uniform { fan: t.shape(images)[3] * patch * patch };
        let x = conv2d_of(t, images, choices, init, Role::Weight);
        bias(t, x, init, Activation::None)
    });
    if token {
        x = class_token(t, x, TOKEN, Init::Normal(1e-6));
    }
    let [_, h, w, _] = t.shape(x);
    x = add_positions(t, x, POSITIONS, Shape::Rows { rows: h * w, c: width }, Init::Normal(DEVIATION));
    x = t.scope("pos_drop", |t| dropout(t, x, t.dropout));
    for index in 0..set.whole("depth") {
        x = t.scope(format!("blocks.{index}"), |t| block(t, x, set));
    }
    // A norm is of each place alone, so that only the class token's is needed.
    x = if token { first_place(t, x) } else { global_avg_pool(t, x) };
    x = t.scope(if token { "norm" } else { "fc_norm" }, |t| norm(t, x));
    x = in_f32(t, x);
    t.scope("head", |t| linear(t, x, config.classes, Activation::None))
}

/// `x + attention(norm(x))`, and then `x + mlp(norm(x))`.
fn block(t: &mut Tape, x: Tensor, set: &Settings) -> Tensor {
    let (width, heads) = (set.whole("width"), set.whole("heads"));
    let y = t.scope("norm1", |t| norm(t, x));
    let y = t.scope("attn", |t| {
        let qkv = t.scope("qkv", |t| linear(t, y, 3 * width, Activation::None));
        let y = attention(t, qkv, Attention { heads, causal: false, dropout: 0.0 });
        t.scope("proj", |t| dropped(t, y, width, Activation::None))
    });
    let x = add(t, x, y);
    let y = t.scope("norm2", |t| norm(t, x));
    let y = t.scope("mlp", |t| {
        let y = t.scope("fc1", |t| dropped(t, y, 4 * width, Activation::Gelu));
        t.scope("fc2", |t| dropped(t, y, width, Activation::None))
    });
    add(t, x, y)
}

/// timm's, whose `eps` is that of the paper's code.
fn norm(t: &mut Tape, x: Tensor) -> Tensor {
    layer_norm(t, x, LayerNorm { eps: 1e-6, ..LayerNorm::default() })
}

fn linear(t: &mut Tape, x: Tensor, outputs: u32, activation: Activation) -> Tensor {
    let x = linear_of(t, x, outputs, Init::Normal(DEVIATION));
    bias(t, x, Init::Constant(0.0), activation)
}

fn dropped(t: &mut Tape, x: Tensor, outputs: u32, activation: Activation) -> Tensor {
    let x = linear(t, x, outputs, activation);
    dropout(t, x, t.dropout)
}
