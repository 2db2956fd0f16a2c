//! Which files data sets consist of, and where they are.
//!
//! Sizes and checksums of the image sets are those that TensorFlow Datasets publishes and checks
//! (github.com/tensorflow/datasets, `tensorflow_datasets/url_checksums/`); the publishers' own pages give MD5 only.
//! That of Tiny Shakespeare and of WikiText-2's archive come from projects that pin them: the original Hugging Face
//! metadata of WikiText as quoted by github.com/EleutherAI/lm-evaluation-harness, and several copies of char-rnn's text.
//! A mirror that has other bytes is passed over, whatever it claims.

/// A data set that can be fetched.
#[derive(Debug)]
pub struct Set {
    /// Its name, in lower case.
    pub name: &'static str,
    /// The folder that its files go to, in the one that the user chooses; empty for that one itself. MNIST and
    /// Fashion-MNIST have files of the same names.
    pub folder: &'static str,
    /// The files.
    pub files: &'static [File],
    /// Addresses of folders that have all the files, in the order in which they are tried.
    pub mirrors: &'static [&'static str],
    /// The licence in a few words.
    pub licence: &'static str,
    /// The page that states the licence, or that the publisher describes the set on.
    pub page: &'static str,
}

/// A file of a set.
#[derive(Debug)]
pub struct File {
    /// Its name, here and there.
    pub name: &'static str,
    /// Its length.
    pub bytes: u64,
    /// The SHA-256 of its bytes, in lower-case hexadecimal digits.
    pub sha256: &'static str,
}

const fn file(name: &'static str, bytes: u64, sha256: &'static str) -> File {
    File { name, bytes, sha256 }
}

/// The sets that can be fetched.
pub const SETS: [Set; 6] = [
    Set {
        name: "cifar10",
        folder: "",
        files: &[file(
            "cifar-10-binary.tar.gz",
            170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        )],
        mirrors: &[
            "https://www.cs.toronto.edu/~kriz",
            "https://cave.cs.toronto.edu/kriz",
            "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset/cifar10",
        ],
        licence: "none is stated; the authors ask to cite their report",
        page: "https://www.cs.toronto.edu/~kriz/cifar.html",
    },
    Set {
        name: "cifar100",
        folder: "",
        files: &[file(
            "cifar-100-binary.tar.gz",
            168_513_733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        )],
        mirrors: &[
            "https://www.cs.toronto.edu/~kriz",
            "https://cave.cs.toronto.edu/kriz",
            "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/gluon/dataset/cifar100",
        ],
        licence: "none is stated; the authors ask to cite their report",
        page: "https://www.cs.toronto.edu/~kriz/cifar.html",
    },
    Set {
        name: "mnist",
        folder: "mnist",
        files: &[
            file(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            file(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            file(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            file(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ],
        mirrors: &[
            "https://storage.googleapis.com/cvdf-datasets/mnist",
            "https://ossci-datasets.s3.amazonaws.com/mnist",
        ],
        licence: "CC BY-SA 3.0, as Keras states it",
        page: "https://keras.io/api/datasets/mnist/",
    },
    Set {
        name: "fashion-mnist",
        folder: "fashion-mnist",
        files: &[
            file(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            file(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            file(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            file(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ],
        mirrors: &[
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        ],
        licence: "MIT",
        page: "https://github.com/zalandoresearch/fashion-mnist/blob/master/LICENSE",
    },
    Set {
        name: "tiny-shakespeare",
        folder: "tiny-shakespeare",
        files: &[file("input.txt", 1_115_394, "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed")],
        mirrors: &[
            "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare",
            "https://cdn.jsdelivr.net/gh/karpathy/char-rnn@master/data/tinyshakespeare",
        ],
        licence: "the plays are in the public domain; the collection is part of char-rnn",
        page: "https://github.com/karpathy/char-rnn",
    },
    Set {
        name: "wikitext-2",
        folder: "wikitext-2",
        files: &[file(
            "wikitext-2-raw-v1.zip",
            4_721_645,
            "ef7edb566e3e2b2d31b29c1fdb0c89a4cc683597484c3dc2517919c615435a11",
        )],
        mirrors: &["https://wikitext.smerity.com", "https://huggingface.co/datasets/ggml-org/ci/resolve/main"],
        licence: "CC BY-SA 3.0 and GFDL",
        page: "https://huggingface.co/datasets/Salesforce/wikitext",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// No two files of all sets go to one place, and every entry is whole.
    #[test]
    fn the_table_is_sound() {
        let mut places: Vec<(&str, &str)> = vec![];
        for set in &SETS {
            assert!(!set.files.is_empty() && !set.mirrors.is_empty() && set.page.starts_with("https://"), "{set:?}");
            assert!(set.mirrors.iter().all(|url| url.starts_with("http") && !url.ends_with('/')), "{set:?}");
            for file in set.files {
                assert!(file.bytes > 0 && file.sha256.len() == 64, "{file:?}");
                assert!(file.sha256.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')), "{file:?}");
                places.push((set.folder, file.name));
            }
        }
        let count = places.len();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), count, "two files in one place: {places:?}");
    }
}
