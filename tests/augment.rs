//! Augmentation against torchvision: what is drawn, and what images become (`tests/data/augment.py`); its flag.

use pollster::block_on;
use serde_json::Value;
use velograd::{
    check::{
        reference::augment::{Area, Draw, Image as Shape, Jitter, Padding, draw, seen},
        selftest::{AugmentCase, Data, Expected, execute},
    },
    data::Image,
    ops::{self, Augment, Normalize},
    program::{Tape, shader::Const, target::Target},
};

use crate::{
    folder::{Folder, says},
    no_gpu::folder_of_images::png_of,
    support::gpu,
};

fn golden() -> Value {
    serde_json::from_str(include_str!("data/augment.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn list(text: &str) -> Augment {
    text.parse().unwrap()
}

/// Parts and rectangles are those of torchvision's `get_params` with the same random numbers.
#[test]
fn draws_are_those_of_torchvision() {
    for size in golden()["draws"].as_array().unwrap() {
        let number = |key: &str| size[key].as_f64().unwrap();
        let shape = Shape { c: 1, h: number("height") as usize, w: number("width") as usize };
        let augment = list(&format!("resized-crop:{},erase:1", number("least")));
        let cases = size["parts"].as_array().unwrap().iter().zip(size["erased"].as_array().unwrap());
        for (index, (part, erased)) in cases.enumerate() {
            let found = draw(&augment, &shape, 7, 3, index as u32);
            let [height, width] = found.size.unwrap();
            let found_part = [found.top as f64, found.left as f64, height as f64, width as f64];
            assert_eq!(found_part[..], numbers(part), "{shape:?}, part {index}");
            // Where no rectangle was found, torchvision sets the whole image to itself.
            let whole = Area { top: 0, left: 0, height: shape.h, width: shape.w };
            let Area { top, left, height, width } = found.erase.unwrap_or(whole);
            assert_eq!([top, left, height, width].map(|v| v as f64)[..], numbers(erased), "{shape:?}, erased {index}");
        }
    }
}

fn jitter_of(value: &Value) -> Jitter {
    let (order, factors) = (numbers(&value["order"]), numbers(&value["factors"]));
    Jitter { order: std::array::from_fn(|i| order[i] as usize), factors: std::array::from_fn(|i| factors[i]) }
}

/// Orders and factors are those of torchvision's `ColorJitter.get_params` with the same random numbers.
#[test]
fn jitters_are_those_of_torchvision() {
    let (golden, shape) = (golden(), Shape { c: 3, h: 32, w: 32 });
    for case in golden["jitters"].as_array().unwrap() {
        let text: Vec<String> = numbers(&case["strengths"]).iter().map(f64::to_string).collect();
        let augment = list(&format!("jitter:{}", text.join(":")));
        let drawn = case["drawn"].as_array().unwrap();
        assert_eq!(drawn.len(), 20);
        for (index, expected) in drawn.iter().map(jitter_of).enumerate() {
            let found = draw(&augment, &shape, 7, 3, index as u32).jitter.unwrap();
            assert_eq!(found.order, expected.order, "{augment}, {index}");
            for (found, expected) in found.factors.iter().zip(expected.factors) {
                assert!((found - expected).abs() < 1e-12, "{augment}, {index}: {found} is not {expected}");
            }
        }
    }
}

/// Over 20,000 images the means are those of torchvision with PyTorch's own generator, within five standard errors of the
/// difference, the deviations within 5 %, and the ranges within a pixel; of a probability of 1/4 to erase, a quarter is.
#[test]
fn draws_are_spread_as_torchvisions() {
    let (golden, shape) = (golden(), Shape { c: 3, h: 32, w: 32 });
    let draws: Vec<Draw> = (0..20_000).map(|i| draw(&list("resized-crop,erase:1"), &shape, 1, 1, i)).collect();
    let part = |d: &Draw| [d.top as f64, d.left as f64, d.size.unwrap()[0] as f64, d.size.unwrap()[1] as f64];
    let erased = |d: &Draw| d.erase.map(|a| [a.top, a.left, a.height, a.width].map(|v| v as f64)).unwrap();
    for (name, all) in
        [("part", draws.iter().map(part).collect::<Vec<_>>()), ("erased", draws.iter().map(erased).collect::<Vec<_>>())]
    {
        let of = |key: &str| numbers(&golden["spread"][name][key]);
        for i in 0..4 {
            let count = all.len() as f64;
            let mean = all.iter().map(|row| row[i]).sum::<f64>() / count;
            let std = (all.iter().map(|row| (row[i] - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
            let (expected, deviation) = (of("mean")[i], of("std")[i]);
            assert!((mean - expected).abs() < 5.0 * deviation * (2.0 / count).sqrt(), "{name} {i}: {mean}, {expected}");
            assert!((std / deviation - 1.0).abs() < 0.05, "{name} {i}: {std}, {deviation}");
            let [least, most] = [f64::min, f64::max].map(|pick| all.iter().map(|row| row[i]).reduce(pick).unwrap());
            assert!((least - of("least")[i]).abs() <= 1.0 && (most - of("most")[i]).abs() <= 1.0, "{name} {i}");
        }
    }
    let factors = |i| draw(&list("jitter:0.4:0.5:2:0.1"), &shape, 1, 1, i).jitter.unwrap().factors;
    let factors: Vec<[f64; 4]> = (0..20_000).map(factors).collect();
    for i in 0..4 {
        let [expected, deviation] = ["mean", "std"].map(|key| numbers(&golden["spread"]["jitter"][key])[i]);
        let mean = factors.iter().map(|row| row[i]).sum::<f64>() / 20_000.0;
        let std = (factors.iter().map(|row| (row[i] - mean).powi(2)).sum::<f64>() / 19_999.0).sqrt();
        assert!((mean - expected).abs() < 5.0 * deviation * (2.0_f64 / 20_000.0).sqrt(), "{i}: {mean}, {expected}");
        assert!((std / deviation - 1.0).abs() < 0.05, "{i}: {std}, {deviation}");
    }
    let erased = (0..20_000).filter(|&i| draw(&list("erase:0.25"), &shape, 1, 1, i).erase.is_some()).count();
    assert!((erased as f64 / 20_000.0 - 0.25).abs() < 0.015, "{erased}");
}

/// Images after given steps are torchvision's on float tensors: those of the reference within the roundings of float32, and those of
/// the device too.
#[test]
fn images_are_those_of_torchvision() {
    let golden = golden();
    for (nth, case) in golden["images"].as_array().unwrap().iter().enumerate() {
        let (shape, done) = (numbers(&case["shape"]), &case["done"]);
        let [c, h, w] = [0, 1, 2].map(|i| shape[i] as usize);
        let bytes: Vec<u8> = numbers(&case["bytes"]).into_iter().map(|byte| byte as u8).collect();
        let values = numbers(&case["values"]);
        let mut draw = Draw { flip: done["flip"] == true, ..Draw::NONE };
        draw.angle_degrees = done["degrees"].as_f64().unwrap_or(0.0);
        let mut words = vec![];
        let mut text = vec!["rotate:180".to_owned()];
        if done["part"].is_array() {
            let part = numbers(&done["part"]);
            (draw.top, draw.left, draw.size) =
                (part[0] as i64, part[1] as i64, Some([part[2] as usize, part[3] as usize]));
            words.extend([part[2], part[3], 0.0, 0.0]);
            text.push("resized-crop".into());
        }
        let reflect = done["padding"] == "reflect";
        if done["shift"].is_array() {
            let shift = numbers(&done["shift"]);
            (draw.top, draw.left) = (shift[0] as i64, shift[1] as i64);
            text.push(format!("crop:{}{}", shift[2], if reflect { ":reflect" } else { "" }));
        }
        if done["erase"].is_array() {
            let erased = numbers(&done["erase"]);
            let [top, left, height, width] = [0, 1, 2, 3].map(|i| erased[i] as usize);
            draw.erase = Some(Area { top, left, height, width });
            words.extend(erased);
            text.push("erase:1".into());
        }
        if done["jitter"].is_object() {
            let jitter = jitter_of(&done["jitter"]);
            draw.jitter = Some(jitter);
            words.extend(jitter.factors);
            let order = jitter.order.iter().rev().fold(0, |bits, kind| 4 * bits + kind);
            words.extend([order as f64, 0.0, 0.0, 0.0]);
            text.push("jitter:0.1:0.1:0.1:0.1".into());
        }
        let Normalize { mean, std } = Normalize::IMAGENET;
        let padding = if reflect { Padding::Reflect } else { Padding::Black };
        let found = seen(&Shape { c, h, w }, &bytes, &draw, padding, &mean[..c], &std[..c]);
        assert_eq!(found.len(), values.len());
        // torchvision's floats: some ten roundings by 2^-24 of values up to 1, divided by a deviation of 0.224 at least. Its hue has 56,
        // and what comes after it multiplies them by up to 2.5.
        let allowed = if draw.jitter.is_some() { 4e-5 } else { 3e-6 };
        for (i, (found, expected)) in found.iter().zip(&values).enumerate() {
            assert!((found - expected).abs() < allowed, "case {nth}, {i}: {found} is not {expected}");
        }

        let Some(gpu) = gpu() else { continue };
        let image = Image { channels: c as u32, height: h as u32, width: w as u32 };
        let case = AugmentCase { n: 1, image, rotate: true, augment: list(&text.join(",")) };
        let first = [draw.top as f64, draw.left as f64, f64::from(u8::from(draw.flip)), draw.angle_degrees];
        let mut padded = bytes.clone();
        padded.resize(bytes.len().next_multiple_of(4), 0);
        let word = |b: &[u8]| f64::from(u32::from_le_bytes(b.try_into().unwrap()));
        let data = Data::from([
            ("images", padded.chunks(4).map(word).collect()),
            ("draws", first.into_iter().chain(words).collect()),
        ]);
        let outcome = block_on(execute(gpu, &gpu.target, &case, &data)).unwrap();
        // The case normalizes by other numbers.
        let Normalize { mean: own_mean, std: own_std } = Normalize::CIFAR10;
        let erased = |i: usize| {
            let (row, column) = (i / w % h, i % w);
            let inside =
                |a: Area| (a.top..a.top + a.height).contains(&row) && (a.left..a.left + a.width).contains(&column);
            draw.erase.is_some_and(inside)
        };
        let value = values.iter().enumerate().map(|(i, value)| {
            let c = i / (h * w);
            if erased(i) { 0.0 } else { (value * std[c] + mean[c] - own_mean[c]) / own_std[c] }
        });
        let value: Vec<f64> = value.collect();
        // And the device's own, fewer of them, or as many of the hue.
        let bound = if draw.jitter.is_some() { 8e-5 } else { 4e-6 };
        let expected = Expected { port: "out", bound: vec![bound; value.len()], value, exempt: 0.0 };
        let rows = outcome.rows("torchvision", &[expected]);
        assert!(rows.iter().all(|row| row.passed), "case {nth} on the device: {rows:?}");
    }
}

/// What is off takes no kernel: without a jitter there is none that changes colours, without contrast none that computes a mean, and
/// images in grey have neither saturation nor hue.
#[test]
fn what_is_off_takes_no_kernel() {
    let calls = |text: &str, channels: u32| -> Vec<String> {
        let (mut t, image) = (Tape::new(&Target::portable(), true), Image { channels, height: 8, width: 8 });
        let draws = ops::draw(&mut t, 4, image, list(text));
        ops::augment(&mut t, 4, image, draws, list(text), Normalize::HALF);
        let calls = t.finish().calls;
        let names = calls.iter().map(|call| {
            let jitters = |(name, row): &(_, Const)| name == "JITTER" && *row != Const::U32(0);
            let path = call.spec.path.strip_prefix("augment/").unwrap();
            path.to_owned() + if call.spec.consts.iter().any(jitters) { " of a jitter" } else { "" }
        });
        names.collect()
    };
    for plain in ["none", "paper", "imagenet,erase:0.5"] {
        assert_eq!(calls(plain, 3), ["draw", "apply"], "{plain}");
    }
    assert_eq!(calls("flip,jitter:0.4:0:0.4:0.1", 3), ["draw", "draw_jitter", "apply of a jitter"]);
    assert_eq!(
        calls("flip,jitter:0.4:0.4:0.4:0.1", 3),
        ["draw", "draw_jitter", "grey_mean of a jitter", "apply of a jitter"]
    );
    assert_eq!(calls("jitter:0:0.4", 1), ["draw", "draw_jitter", "grey_mean of a jitter", "apply of a jitter"]);
    assert_eq!(calls("jitter:0:0:0.4:0.1", 1), ["draw", "draw_jitter", "apply"]);
}

/// A run says in one form what is done to its images, and a bad list is refused before anything is read.
#[test]
fn the_flag_takes_lists() {
    let folder = Folder::new("augment");
    for (given, parts) in [
        ("blur", &["`blur` is no step", "crop:PIXELS[:zero|reflect]", "none, paper, airbench, imagenet"][..]),
        ("crop:4,crop:2", &["`crop:2` is one step too many"]),
        ("rotate:200", &["DEGREES is above 0 and at most 180"]),
        ("jitter:0.4:0.4:0.4:0.7", &["HUE is from 0 to 0.5"]),
    ] {
        says(&folder.refused(2, &["train", "--data", "nowhere", "--augment", given]), parts);
    }
    folder.write("r.toml", b"width = 4\naugment = [\"flip\", \"crop\"]\n");
    let said = folder.refused(2, &["train", "--config", "r.toml", "--data", "nowhere"]);
    says(&said, &["r.toml, line 2: `augment`", "crop:PIXELS[:zero|reflect]"]);
    if gpu().is_none() {
        return;
    }
    let run = [
        "train",
        "--dataset",
        "shapes10",
        "--quick",
        "--width",
        "4",
        "-b",
        "16",
        "--max-steps",
        "2",
        "--selftest",
        "off",
    ];
    let with = |list, out| [&run[..], &["--augment", list, "--out", out]].concat();
    says(&folder.refused(2, &with("crop:32:reflect", "x")), &["cannot be mirrored over 32 pixels", "at most 31"]);
    for (given, printed, out) in [
        ("ERASE:0.50,imagenet", "resized-crop,flip,erase:0.5", "a"),
        ("rotate:15,flip,crop:4", "paper", "b"),
        ("jitter:0.4:0.4:0:0,flip", "flip,jitter:0.4:0.4", "c"),
    ] {
        folder.works(&with(given, out));
        let text = std::fs::read_to_string(folder.0.join(out).join("run.json")).unwrap();
        let run: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&run["augment"], &run["recipe"]["augment"]), (&printed.into(), &printed.into()));
    }
    let preview = [
        "data",
        "--dataset",
        "shapes10",
        "--augment",
        "resized-crop,rotate:90,jitter:0.4:0.4:0.4:0.1,erase:1",
        "--preview",
        "sheet.png",
    ];
    says(&folder.works(&preview), &["wrote sheet.png"]);
}

/// The sheet shows parts of whole pictures: of a wide one with red ends, whose middle is green, the square that is validated on shows
/// nothing red, and a part may.
#[test]
fn a_preview_shows_parts_of_whole_pictures() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("augment-parts");
    let row: Vec<u8> = (0..96).flat_map(|x| if (24..72).contains(&x) { [0, 200, 0] } else { [200, 0, 0] }).collect();
    for i in 0..20 {
        folder.write(&format!("set/{}/{i}.png", i % 2), &png_of(96, 32, &row.repeat(32)));
    }
    let shown = |augment: &str| {
        let flags = ["data", "--data", "set", "--image-size", "16", "--augment", augment, "--preview", "sheet.png"];
        says(&folder.works(&flags), &["wrote sheet.png"]);
        let sheet = image::open(folder.0.join("sheet.png")).unwrap().to_rgb8();
        let red = |pixel: &&image::Rgb<u8>| pixel[0] > 150 && pixel[1] < 20;
        sheet.pixels().filter(red).count()
    };
    assert_eq!(shown("none"), 0);
    let red = shown("resized-crop");
    // The ends are a half of the picture, and a part is less likely to reach its outermost columns: a third of the 20 x 32 x 32 pixels.
    assert!((4096..10_240).contains(&red), "{red} red pixels of 20 parts");
}
