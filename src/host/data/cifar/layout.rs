//! The two sets in CIFAR's binary form: what their files are called, and what a record holds.

use std::path::Path;

use crate::error::suggest::shell_word;

/// Bytes of an image: planes of red, green and blue, 32 rows of 32 each.
pub(super) const IMAGE_BYTES: usize = 3 * 32 * 32;

/// One of the labels that each record has.
#[derive(Debug, PartialEq, Eq)]
pub struct Labels {
    /// What messages call such a label, with its article.
    pub kind: &'static str,
    /// Name of the file of class names, one per line.
    pub names_file: &'static str,
    /// The official names in the order of the labels.
    pub names: &'static [&'static str],
}

/// The files of a set, and the records in them.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// What messages call the set.
    pub title: &'static str,
    /// Name of the official archive.
    pub archive: &'static str,
    /// Name of the folder in the official archive.
    pub folder: &'static str,
    /// URL of the official archive.
    pub url: &'static str,
    /// Size of the official archive in megabytes.
    megabytes: u32,
    /// Name of the files of training images; a `*` stands for any text.
    pub train: &'static str,
    /// Name of the file of test images.
    pub test: &'static str,
    /// The labels at the start of a record, a byte each.
    pub labels: &'static [Labels],
    /// The number of official training files, and the number of images in each.
    pub(super) official_train: (usize, usize),
    /// The number of official test images.
    pub(super) official_test: usize,
}

/// CIFAR-10: a record is a label and an image.
pub static TEN: Layout = Layout {
    title: "CIFAR-10",
    archive: "cifar-10-binary.tar.gz",
    folder: "cifar-10-batches-bin",
    url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    megabytes: 163,
    train: "data_batch_*.bin",
    test: "test_batch.bin",
    labels: &[Labels { kind: "a label", names_file: "batches.meta.txt", names: &TEN_NAMES }],
    official_train: (5, 10_000),
    official_test: 10_000,
};

/// CIFAR-100: a record is a coarse label, a fine label and an image.
pub static HUNDRED: Layout = Layout {
    title: "CIFAR-100",
    archive: "cifar-100-binary.tar.gz",
    folder: "cifar-100-binary",
    url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    megabytes: 161,
    train: "train.bin",
    test: "test.bin",
    labels: &[
        Labels { kind: "a coarse label", names_file: "coarse_label_names.txt", names: &COARSE_NAMES },
        Labels { kind: "a fine label", names_file: "fine_label_names.txt", names: &FINE_NAMES },
    ],
    official_train: (1, 50_000),
    official_test: 10_000,
};

/// Every layout, in the order in which a file's name is compared with them.
pub static ALL: [&Layout; 2] = [&TEN, &HUNDRED];

impl Layout {
    /// Bytes of a record: its labels and an image.
    pub fn record_bytes(&self) -> usize {
        self.labels.len() + IMAGE_BYTES
    }

    /// Whether a file of this name holds records. Names with control characters are refused, as a name may be printed
    /// to a terminal.
    pub fn is_records(&self, name: &str) -> bool {
        let train = match self.train.split_once('*') {
            Some((start, end)) => name.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
            None => name == self.train,
        };
        (train || name == self.test) && !name.contains(char::is_control)
    }

    /// Which of the [`labels`](Self::labels) a file of this name has the names of.
    pub fn names_of(&self, name: &str) -> Option<usize> {
        self.labels.iter().position(|labels| labels.names_file == name)
    }

    /// The shell commands that fetch the set to where it is found in `home`.
    pub fn how_to_get(&self, home: &Path) -> String {
        let archive = shell_word(&home.join(self.archive));
        let make = if home.is_dir() { String::new() } else { format!("    mkdir -p {}\n", shell_word(home)) };
        let Self { megabytes, url, .. } = self;
        format!("this fetches the binary version ({megabytes} MB):\n{make}    curl -L -o {archive} {url}")
    }

    /// What is expected of a file's length.
    pub(super) fn whole(&self) -> String {
        let (labels, bytes) = match self.labels.len() {
            1 => ("a label", "3,073"),
            _ => ("two labels", "3,074"),
        };
        format!("whole records of {bytes} bytes ({labels} and 3 x 32 x 32 colours)")
    }

    /// The hint for a file with the wrong content.
    pub(super) fn damaged(&self) -> String {
        format!("the file is damaged or not {}'s binary version: fetch or unpack it again", self.title)
    }
}

/// The classes of CIFAR-10.
const TEN_NAMES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// The superclasses of CIFAR-100.
#[rustfmt::skip]
const COARSE_NAMES: [&str; 20] = [
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables", "household_electrical_devices",
    "household_furniture", "insects", "large_carnivores", "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes", "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates",
    "people", "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
];

/// The classes of CIFAR-100.
#[rustfmt::skip]
const FINE_NAMES: [&str; 100] = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
    "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
];
