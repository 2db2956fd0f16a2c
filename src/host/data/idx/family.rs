//! The sets that come as IDX files, and what their classes are called.
//!
//! The files do not say which set they are of, and all but EMNIST's have the same names. So a set is told by its name, or
//! by the name of a folder that it lies in. Class names are torchvision's (`torchvision/datasets/mnist.py`).

use std::path::Path;

/// A set in the format of MNIST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Handwritten digits (LeCun et al., "Gradient-based learning applied to document recognition", 1998).
    Mnist,
    /// Articles of clothing (Xiao et al., "Fashion-MNIST", 2017).
    Fashion,
    /// Cursive Japanese characters (Clanuwat et al., "Deep Learning for Classical Japanese Literature", 2018).
    Kuzushiji,
    /// Handwritten letters and digits (Cohen et al., "EMNIST: an extension of MNIST to handwritten letters", 2017).
    Emnist,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 4] = [Self::Mnist, Self::Fashion, Self::Kuzushiji, Self::Emnist];

    /// The name of the data set.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::Fashion => "fashion-mnist",
            Self::Kuzushiji => "kmnist",
            Self::Emnist => "emnist",
        }
    }

    /// What messages call the set.
    pub fn title(self) -> &'static str {
        match self {
            Self::Mnist => "MNIST",
            Self::Fashion => "Fashion-MNIST",
            Self::Kuzushiji => "KMNIST",
            Self::Emnist => "EMNIST",
        }
    }

    /// The set that a path tells by the name of its last file or folder that tells one: `FashionMNIST/raw`.
    pub fn of(path: &Path) -> Option<Self> {
        let told = |name: String| {
            let name: String = name.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
            let has = |part| name.contains(part);
            match () {
                () if has("fashion") => Some(Self::Fashion),
                () if has("kmnist") || has("kuzushiji") => Some(Self::Kuzushiji),
                () if has("emnist") => Some(Self::Emnist),
                () if has("mnist") => Some(Self::Mnist),
                () => None,
            }
        };
        path.iter().rev().find_map(|part| told(part.to_string_lossy().into_owned()))
    }

    /// The names of the classes in the order of their labels; `split` is the part of EMNIST, such as `letters`. `None`
    /// if they cannot be told.
    pub fn classes(self, split: &str) -> Option<Vec<String>> {
        let list = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Some(match self {
            Self::Mnist => DIGITS.iter().enumerate().map(|(digit, word)| format!("{digit} - {word}")).collect(),
            Self::Fashion => list(&CLOTHES),
            Self::Kuzushiji => list(&HIRAGANA),
            Self::Emnist => match split {
                "byclass" => characters(|_| true),
                "bymerge" | "balanced" => characters(|c| !MERGED.contains(c)),
                // Labels begin at 1 there.
                "letters" => ["N/A".to_owned()].into_iter().chain(('a'..='z').map(String::from)).collect(),
                "digits" | "mnist" => characters(|c| c.is_ascii_digit()),
                _ => return None,
            },
        })
    }
}

/// Digits, then upper-case letters, then lower-case ones, as far as `keep` wants them.
fn characters(keep: impl Fn(char) -> bool) -> Vec<String> {
    ('0'..='9').chain('A'..='Z').chain('a'..='z').filter(|&c| keep(c)).map(String::from).collect()
}

/// Lower-case letters that look like their upper-case ones, and share a class with them in some parts of EMNIST.
const MERGED: &str = "cijklmopsuvwxyz";

const DIGITS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

const CLOTHES: [&str; 10] =
    ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

const HIRAGANA: [&str; 10] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"];

#[cfg(test)]
mod tests {
    use super::Family;
    use std::path::Path;

    #[test]
    fn families_are_told_by_paths() {
        for (path, told) in [
            ("data/FashionMNIST/raw", Some(Family::Fashion)),
            ("data/fashion-mnist", Some(Family::Fashion)),
            ("mnist/KMNIST/raw", Some(Family::Kuzushiji)),
            ("EMNIST/raw/gzip", Some(Family::Emnist)),
            ("MNIST/raw", Some(Family::Mnist)),
            ("data/raw", None),
            ("", None),
        ] {
            assert_eq!(Family::of(Path::new(path)), told, "{path}");
        }
    }

    #[test]
    fn classes_are_those_of_torchvision() {
        let count = |split| Family::Emnist.classes(split).map(|classes| classes.len());
        let counts = ["byclass", "bymerge", "balanced", "letters", "digits", "mnist", "other"].map(count);
        assert_eq!(counts, [Some(62), Some(47), Some(47), Some(27), Some(10), Some(10), None]);
        let balanced = Family::Emnist.classes("balanced").unwrap().concat();
        assert_eq!(balanced, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt");
        assert_eq!(Family::Mnist.classes("").unwrap()[7], "7 - seven");
    }
}
