//! Drawn digits: the same everywhere, balanced, inside the picture, and no task for a linear model.

use velograd::{
    data::{Dataset, Digits28, Image, Sizes, Split, summary},
    host::{
        data::{Wanted, known, open_in},
        threads::on_all_cores,
    },
};

use super::linear::linear_model;
use crate::folder::{Folder, says};

fn small(seed: u64) -> Digits28 {
    Digits28::new(seed, Sizes { train: 200, test: 20 }).unwrap()
}

fn image(set: &dyn Dataset, split: Split, index: usize) -> Vec<u8> {
    let mut image = vec![0; Image::MNIST.bytes()];
    crate::support::read(set, split, index, &mut image).unwrap();
    image
}

/// The same bytes on every machine and in every version, however many threads draw.
#[test]
fn digits_stay_the_same() {
    let alone = Digits28::new(0, Sizes::default()).unwrap();
    assert_eq!(alone.checksum(), 0x6593_eabe);
    assert_eq!(Digits28::spread(0, Sizes::default(), on_all_cores).unwrap().checksum(), 0x6593_eabe);
    assert_eq!((alone.len(Split::Train), alone.len(Split::Test), alone.seed()), (10_000, 2_000, Some(0)));
}

#[test]
fn digits_are_a_function_of_seed_and_index() {
    let (a, other) = (small(1), small(2));
    let longer = Digits28::new(1, Sizes { train: 400, test: 0 }).unwrap();
    assert_ne!(a.checksum(), other.checksum());
    assert_eq!(image(&a, Split::Train, 150), image(&longer, Split::Train, 150));
    assert_ne!(image(&a, Split::Train, 5), image(&a, Split::Test, 5));
    assert!(Digits28::new(0, Sizes { train: 0, test: 1 }).is_err());
}

/// Ten classes of the same size; white on black, as in MNIST, whose mean is 0.13.
#[test]
fn digits_are_balanced_and_white_on_black() {
    let set = Digits28::new(3, Sizes { train: 2000, test: 20 }).unwrap();
    assert_eq!((set.spec().name.as_str(), set.spec().input), ("digits28", Image::MNIST.into()));
    assert_eq!(set.spec().classes, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    let numbers = summary(&set, Split::Train).unwrap();
    assert_eq!(numbers.per_class, [200; 10]);
    assert!((0.08..0.16).contains(&numbers.mean[0]), "{numbers:?}");
    for index in 0..2000 {
        let image = image(&set, Split::Train, index);
        let at = |row: usize, column: usize| image[row * 28 + column];
        let rim = (0..28).flat_map(|i| [at(0, i), at(27, i), at(i, 0), at(i, 27)]).max().unwrap();
        assert!(rim <= 11, "digit {index} leaves the picture: {rim} at its rim");
        assert!(image.iter().max() >= Some(&140), "digit {index} is hardly seen");
    }
}

/// A softmax regression tells 84 % of 2,000 digits after 10,000, and fewer after 4,000.
#[test]
fn a_linear_model_does_not_read_digits() {
    let set = Digits28::new(0, Sizes { train: 4000, test: 1000 }).unwrap();
    let (seen, unseen) = linear_model(&set);
    assert!(seen > 60.0, "the model has learned nothing: {seen} %");
    assert!(unseen < 88.0, "digits28 is too easy: {unseen} %");
}

#[test]
fn digits_are_opened_by_name() {
    assert_eq!(known("Digits28").unwrap(), "digits28");
    let folder = Folder::new("digits");
    let sizes = Sizes { train: 20, test: 10 };
    let open = |path| {
        let wanted = Wanted { name: Some("digits28"), path, seed: 5, ..Wanted::default() };
        open_in(&folder.0.join("data"), wanted, sizes)
    };
    let opened = open(None).unwrap();
    assert_eq!(opened.dataset.checksum(), Digits28::new(5, sizes).unwrap().checksum());
    assert!(opened.notes.is_empty());
    let error = open(Some(folder.0.as_path())).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    says(&error.to_string(), &["digits28 is drawn, not read"]);
    says(
        &folder.works(&["data", "--dataset", "digits28"]),
        &["digits28, CRC-32 6593eabe", "10000 images", "(grey, 0 to 1)"],
    );
}
