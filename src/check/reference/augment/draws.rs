//! What is drawn for an image.
//!
//! The generator is pcg4d of Jarzynski and Olano, "Hash Functions for GPU Rendering", JCGT 9(3), 2020, on a counter of seed, epoch,
//! index and a number that says what for; each quantity takes the high bits of its own word of the result. Distributions are those
//! of torchvision's `RandomCrop`, `RandomHorizontalFlip`, `RandomRotation`, `RandomResizedCrop`, `ColorJitter` and `RandomErasing`.

use super::{Area, Draw, Image, Jitter};
use crate::{
    check::reference::random::pcg4d,
    ops::{Augment, Crop, Flip},
};

/// The draw of image `index` in an epoch, counted from 1.
///
/// Alternating flip: a fair coin that depends on the image alone says whether it is mirrored in epoch 1, and this changes from one
/// epoch to the next (Jordan 2024).
pub fn draw(augment: &Augment, shape: &Image, seed: u32, epoch: u32, index: u32) -> Draw {
    let words = |purpose: u32| pcg4d([seed, epoch, index, purpose]);
    let v = words(0x61_75_67);
    let mut draw = Draw::NONE;
    match augment.crop {
        None => {}
        Some(Crop::Padded { pixels, .. }) => {
            let places = 2 * pixels + 1;
            draw.top = i64::from((v[0] >> 8) % places) - i64::from(pixels);
            draw.left = i64::from((v[1] >> 8) % places) - i64::from(pixels);
        }
        Some(Crop::Resized { least }) => {
            let Area { top, left, height, width } = part(shape, least, &words);
            (draw.top, draw.left, draw.size) = (top as i64, left as i64, Some([height, width]));
        }
    }
    draw.flip = match augment.flip {
        None => false,
        Some(Flip::Random) => v[2] >> 31 == 1,
        Some(Flip::Alternating) => {
            let coin = pcg4d([seed, 0, index, 0x66_6c_69_70])[0] >> 31 == 1;
            coin != (epoch % 2 == 1)
        }
    };
    draw.angle_degrees = augment.rotate.map_or(0.0, |degrees| 2.0 * degrees * unit(v[3]) - degrees);
    draw.jitter = augment.jitter.map(|jitter| colours(jitter.strengths(), &words));
    draw.erase = augment.erase.and_then(|p| (unit(words(0x65_72_61_70)[0]) < p).then(|| rectangle(shape, &words))?);
    draw
}

/// In [0, 1).
fn unit(word: u32) -> f64 {
    f64::from(word >> 8) / 16_777_216.0
}

/// In [low, high).
fn uniform(low: f64, high: f64, word: u32) -> f64 {
    low + (high - low) * unit(word)
}

/// `RandomResizedCrop.get_params` with a scale of `least` to 1 and a ratio of 3/4 to 4/3.
fn part(shape: &Image, least: f64, words: &dyn Fn(u32) -> [u32; 4]) -> Area {
    let (height, width) = (shape.h as f64, shape.w as f64);
    for attempt in 0..10 {
        let v = words(0x72_72_63_00 + attempt);
        let area = height * width * uniform(least, 1.0, v[0]);
        let ratio = uniform((3.0_f64 / 4.0).ln(), (4.0_f64 / 3.0).ln(), v[1]).exp();
        let [h, w] = [area / ratio, area * ratio].map(|square| square.sqrt().round() as usize);
        if 0 < w && w <= shape.w && 0 < h && h <= shape.h {
            let [top, left] =
                [(v[2], shape.h - h), (v[3], shape.w - w)].map(|(v, most)| (v >> 8) as usize % (most + 1));
            return Area { top, left, height: h, width: w };
        }
    }
    let ratio = width / height;
    let (mut h, mut w) = (shape.h, shape.w);
    if ratio < 3.0 / 4.0 {
        h = (width / (3.0 / 4.0)).round() as usize;
    } else if ratio > 4.0 / 3.0 {
        w = (height * (4.0 / 3.0)).round() as usize;
    }
    Area { top: (shape.h - h) / 2, left: (shape.w - w) / 2, height: h, width: w }
}

/// `ColorJitter.get_params`. The order comes from a number below 24: its digits, of bases 4, 3, 2 and 1, say which of those that are
/// left is next.
fn colours(strengths: [f64; 4], words: &dyn Fn(u32) -> [u32; 4]) -> Jitter {
    let v = words(0x6a_69_74_74);
    let mut factors = [0.0; 4];
    for i in 0..3 {
        factors[i] = uniform((1.0 - strengths[i]).max(0.0), 1.0 + strengths[i], v[i]);
    }
    factors[3] = uniform(-strengths[3], strengths[3], v[3]);
    let mut number = (words(0x6a_69_74_6f)[0] >> 8) as usize % 24;
    let (mut left, mut order) = (vec![0, 1, 2, 3], [0; 4]);
    for next in &mut order {
        let bases = left.len();
        *next = left.remove(number % bases);
        number /= bases;
    }
    Jitter { order, factors }
}

/// `RandomErasing.get_params` with a scale of 0.02 to 0.33 and a ratio of 0.3 to 3.3; `None` where that leaves the image alone.
fn rectangle(shape: &Image, words: &dyn Fn(u32) -> [u32; 4]) -> Option<Area> {
    for attempt in 0..10 {
        let v = words(0x65_72_61_00 + attempt);
        let area = (shape.h * shape.w) as f64 * uniform(0.02, 0.33, v[0]);
        let ratio = uniform(0.3_f64.ln(), 3.3_f64.ln(), v[1]).exp();
        let [h, w] = [area * ratio, area / ratio].map(|square| square.sqrt().round() as usize);
        if h < shape.h && w < shape.w {
            let [top, left] =
                [(v[2], shape.h - h), (v[3], shape.w - w)].map(|(v, most)| (v >> 8) as usize % (most + 1));
            return Some(Area { top, left, height: h, width: w });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: Image = Image { c: 3, h: 32, w: 32 };

    fn paper(seed: u32, epoch: u32, index: u32) -> Draw {
        draw(&Augment::PAPER, &IMAGE, seed, epoch, index)
    }

    /// Over 9,000 images, each offset has a share near a ninth, half are mirrored, angles are uniform, and no quantity
    /// correlates with the next.
    #[test]
    fn draws_are_uniform_and_independent() {
        let draws: Vec<Draw> = (0..9000).map(|i| paper(7, 3, i)).collect();
        let share = |of: &dyn Fn(&Draw) -> bool| draws.iter().filter(|d| of(d)).count() as f64 / 9000.0;
        for offset in -4..=4 {
            assert!((share(&|d| d.top == offset) - 1.0 / 9.0).abs() < 0.015, "top {offset}");
            assert!((share(&|d| d.left == offset) - 1.0 / 9.0).abs() < 0.015, "left {offset}");
            assert!((share(&|d| d.top == offset && d.flip) - 1.0 / 18.0).abs() < 0.011, "top {offset}, mirrored");
        }
        assert!((share(&|d| d.flip) - 0.5).abs() < 0.025);
        assert!(draws.iter().all(|d| (-15.0..15.0).contains(&d.angle_degrees)));
        for quarter in 0..4 {
            let from = -15.0 + 7.5 * f64::from(quarter);
            assert!((share(&|d| (from..from + 7.5).contains(&d.angle_degrees)) - 0.25).abs() < 0.02, "from {from}");
        }
        assert_ne!(paper(7, 3, 5), paper(7, 4, 5), "the epoch matters");
        assert_ne!(paper(7, 3, 5), paper(8, 3, 5), "the seed matters");
    }

    /// Each image is mirrored in every other epoch, and half of them in the first; shifts from -2 to 2 are equally
    /// likely.
    #[test]
    fn flips_alternate() {
        let draws = |epoch| (0..5000).map(move |i| draw(&Augment::AIRBENCH, &IMAGE, 7, epoch, i));
        let mirrored = draws(1).filter(|d| d.flip).count();
        assert!((mirrored as f64 / 5000.0 - 0.5).abs() < 0.03, "{mirrored} of 5000");
        for epoch in 1..5 {
            assert!(draws(epoch).zip(draws(epoch + 1)).all(|(now, next)| now.flip != next.flip), "epoch {epoch}");
        }
        for shift in -2..=2 {
            let share = |of: &dyn Fn(&Draw) -> i64| draws(2).filter(|d| of(d) == shift).count();
            for count in [share(&|d| d.top), share(&|d| d.left)] {
                assert!((count as f64 / 5000.0 - 0.2).abs() < 0.025, "shift {shift}: {count} of 5000");
            }
        }
    }

    /// Over 24,000 images each order comes up about a thousand times, and factors are uniform and independent of it.
    #[test]
    fn orders_are_equally_likely() {
        let list: Augment = "jitter:0.4:0.5:2:0.1".parse().unwrap();
        let draws: Vec<Jitter> = (0..24_000).map(|i| draw(&list, &IMAGE, 7, 3, i).jitter.unwrap()).collect();
        let mut counts = std::collections::BTreeMap::new();
        draws.iter().for_each(|jitter| *counts.entry(jitter.order).or_insert(0) += 1);
        assert_eq!(counts.len(), 24, "{counts:?}");
        assert!(counts.values().all(|count| (850..1150).contains(count)), "{counts:?}");
        assert!(counts.keys().all(|order| (0..4).all(|kind| order.contains(&kind))));
        for (i, (low, high)) in [(0.6, 1.4), (0.5, 1.5), (0.0, 3.0), (-0.1, 0.1)].into_iter().enumerate() {
            let middle = (low + high) / 2.0;
            assert!(draws.iter().all(|jitter| (low..high).contains(&jitter.factors[i])));
            for first in 0..4 {
                let of_first = || draws.iter().filter(|jitter| jitter.order[0] == first);
                let below = of_first().filter(|jitter| jitter.factors[i] < middle).count();
                let share = below as f64 / of_first().count() as f64;
                assert!((share - 0.5).abs() < 0.035, "{i}, {first} first: {share}");
            }
        }
    }
}
