//! Random parts of pictures in folders: the rectangles and the pixels are torchvision's, of whole pictures (`tests/data/parts.py`).

use std::sync::Arc;

use serde_json::Value;
use velograd::{
    data::{Batch, Dataset, Holdout, Image, Parts, Shapes10, Sizes, Split, order},
    host::{data::Pictures, loader::Loader},
    ops::Augment,
};

use super::folder_of_images::{from_base64, png, png_of};
use crate::folder::Folder;

fn number(value: &Value, key: &str) -> usize {
    value[key].as_u64().unwrap() as usize
}

/// As torchvision's `RandomResizedCrop` with the same random numbers, to the bit: also of pictures that are smaller than the square, of
/// one pixel, and so long that no part of an allowed ratio but the middle is found.
#[test]
fn parts_are_those_of_torchvision() {
    let golden: Value = serde_json::from_str(include_str!("../data/parts.json")).unwrap();
    let folder = Folder::new("parts-torchvision");
    let pictures = golden["pictures"].as_array().unwrap();
    for (index, picture) in pictures.iter().enumerate() {
        folder.write(&format!("a/{index:02}.png"), &from_base64(picture["file"].as_str().unwrap()));
    }
    folder.write("b/other.png", &png(1, 1, [0; 3]));
    let side = number(&golden, "side");
    let set = Pictures::open(&folder.0, side as u32).unwrap();
    assert!(set.cuts_parts());
    let (mut planes, mut label) = (vec![0; 3 * side * side], [9]);
    for (index, picture) in pictures.iter().enumerate() {
        let size = [number(picture, "height"), number(picture, "width")];
        for (epoch, expected) in (1..).zip(picture["epochs"].as_array().unwrap()) {
            let parts = Parts { least: golden["least"].as_f64().unwrap(), seed: number(&golden, "seed") as u32, epoch };
            let part = parts.of(index as u32, size);
            let found = [part.top, part.left, part.height, part.width];
            let rectangle: Vec<usize> =
                expected["part"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect();
            assert_eq!(found[..], rectangle, "picture {index} of {size:?}, epoch {epoch}");
            set.read_part(Split::Train, index, &parts, &mut planes, &mut label).unwrap();
            assert_eq!(label, [0]);
            let square = from_base64(expected["square"].as_str().unwrap());
            let pixels: Vec<u8> = (0..square.len()).map(|at| planes[at % 3 * side * side + at / 3]).collect();
            assert_eq!(pixels, square, "picture {index} of {size:?}, epoch {epoch}");
        }
    }
}

/// Every part lies in its picture, and has an allowed area and ratio but for the rounding of its sides; where no ratio is allowed, it is
/// the largest in the middle. Another seed, epoch or picture has another part; the same has the same.
#[test]
fn a_part_has_an_allowed_area_and_ratio() {
    for [height, width] in [[375, 500], [500, 375], [224, 224], [4000, 3000]] {
        let mut areas = vec![];
        for index in 0..2000 {
            let parts = Parts { least: 0.08, seed: 3, epoch: 5 };
            let part = parts.of(index, [height, width]);
            assert_eq!(part, parts.of(index, [height, width]));
            assert!(part.top + part.height <= height && part.left + part.width <= width, "{part:?}");
            let [h, w] = [part.height as f64, part.width as f64];
            assert!((w + 0.5) / (h - 0.5) >= 0.75 && (w - 0.5) / (h + 0.5) <= 4.0 / 3.0, "{part:?}");
            let most = (h + 0.5) * (w + 0.5) / (height * width) as f64;
            assert!(most >= 0.08, "{part:?}");
            areas.push(h * w / (height * width) as f64);
        }
        let [least, largest] = [f64::min, f64::max].map(|pick| areas.iter().copied().reduce(pick).unwrap());
        assert!(least < 0.09 && largest > 0.9, "from {least} to {largest}");
    }
    let of = |seed, epoch, index| Parts { least: 0.08, seed, epoch }.of(index, [4000, 3000]);
    let here = of(1, 1, 1);
    assert!([of(2, 1, 1), of(1, 2, 1), of(1, 1, 2)].iter().all(|other| *other != here));
    let whole = Parts { least: 1.0, seed: 0, epoch: 1 }.of(0, [1000, 5]);
    assert_eq!((whole.top, whole.left, whole.height, whole.width), (496, 0, 7, 5));
}

/// The loader's threads read the parts that one thread reads. What is validated on is whole, also where training pictures are held out
/// for it; a picture that is trained on has the part of its own index, whatever else is held out.
#[test]
fn parts_are_of_training_pictures_alone() {
    let folder = Folder::new("parts-loader");
    for i in 0..24u32 {
        let [width, height] = [40 + 5 * (i % 4), 30 + 7 * (i % 3)];
        let pixels: Vec<u8> = (0..3 * width * height).map(|at| (at * (i + 3) / 7) as u8).collect();
        folder.write(&format!("{}/{i:02}.png", i % 2), &png_of(width, height, &pixels));
    }
    let set: Arc<dyn Dataset> = Arc::new(Pictures::open(&folder.0, 12).unwrap());
    let parts = Parts { least: 0.08, seed: 1, epoch: 2 };
    let order = order(24, Some((3, 1)));
    let loaded = |parts| -> Vec<u8> {
        let loader = Loader::of_parts(set.clone(), Split::Train, order.clone(), 7, parts).unwrap();
        loader.flat_map(|batch| batch.unwrap().inputs).collect()
    };
    let one = Batch::read_parts(&*set, Split::Train, &order, Some(parts)).unwrap().inputs;
    assert!(loaded(Some(parts)) == one);
    let whole = Batch::read(&*set, Split::Train, &order).unwrap().inputs;
    assert!(loaded(None) == whole && whole != one);
    let held = Holdout::new(set.clone(), 6, 5).unwrap();
    assert!(held.cuts_parts());
    for at in 0..held.len(Split::Train) as u32 {
        let read = Batch::read_parts(&held, Split::Train, &[at], Some(parts)).unwrap().inputs;
        let of_its_own =
            |&index: &u32| read == Batch::read_parts(&*set, Split::Train, &[index], Some(parts)).unwrap().inputs;
        assert_eq!(order.iter().filter(|index| of_its_own(index)).count(), 1, "training picture {at}");
    }
    for at in 0..held.len(Split::Test) as u32 {
        let read = Batch::read(&held, Split::Test, &[at]).unwrap().inputs;
        assert!(order.iter().any(|&index| read == Batch::read(&*set, Split::Train, &[index]).unwrap().inputs));
    }
}

/// The device crops what the set has not cut, and nothing twice.
#[test]
fn a_crop_is_taken_once() {
    let folder = Folder::new("parts-divided");
    for class in ["a", "b"] {
        folder.write(&format!("{class}/1.png"), &png(4, 4, [1, 2, 3]));
    }
    let pictures = Pictures::open(&folder.0, 8).unwrap();
    let drawn = Shapes10::new(1, Sizes { train: 4, test: 2 }).unwrap();
    let steps: Augment = "resized-crop:0.3,flip,erase:0.5".parse().unwrap();
    let (left, parts) = steps.divide(&pictures, 1 << 40 | 6, 9);
    assert_eq!(left.to_string(), "flip,erase:0.5");
    assert_eq!(parts.map(|parts| (parts.least, parts.epoch)), Some((0.3, 9)));
    assert_eq!(steps.divide(&drawn, 6, 9), (steps, None));
    for other in ["crop:2,flip", "none"] {
        let other: Augment = other.parse().unwrap();
        assert_eq!(other.divide(&pictures, 6, 9), (other, None));
    }
    assert_eq!(pictures.spec().image().unwrap(), Image { channels: 3, height: 8, width: 8 });
}
