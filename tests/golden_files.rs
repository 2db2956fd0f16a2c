//! Opens the golden files: values computed elsewhere, kept beside the checkout or where VELOGRAD_GOLDEN points.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};

/// The path of the golden file of that name: in the folder VELOGRAD_GOLDEN, else in `../shared/golden` beside the
/// checkout. If it is missing, a line says so and `None` is returned.
pub fn golden(name: &str) -> Option<PathBuf> {
    let folder = match std::env::var_os("VELOGRAD_GOLDEN") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden"),
    };
    let path = folder.join(name);
    if path.is_file() {
        return Some(path);
    }
    println!("skipped: {} not found", path.display());
    None
}

/// A safetensors file with every tensor widened to f64.
pub struct Golden {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
    /// The file's free-form metadata.
    pub metadata: BTreeMap<String, String>,
}

impl Golden {
    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor.
    #[track_caller]
    pub fn shape(&self, name: &str) -> &[usize] {
        &self.tensor(name).0
    }

    /// The elements of a tensor.
    #[track_caller]
    pub fn values(&self, name: &str) -> &[f64] {
        &self.tensor(name).1
    }

    /// The elements of a tensor of integers.
    #[track_caller]
    pub fn integers(&self, name: &str) -> Vec<u32> {
        self.values(name).iter().map(|&value| value as u32).collect()
    }

    /// The elements of a tensor of bytes.
    #[track_caller]
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.values(name).iter().map(|&value| value as u8).collect()
    }

    #[track_caller]
    fn tensor(&self, name: &str) -> &(Vec<usize>, Vec<f64>) {
        self.tensors.get(name).unwrap_or_else(|| panic!("the golden file has no tensor `{name}`"))
    }
}

/// Reads the golden file of that name, or prints that the test is skipped.
pub fn open(name: &str) -> Option<Golden> {
    let bytes = std::fs::read(golden(name)?).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let metadata = header.metadata().iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
    let file = SafeTensors::deserialize(&bytes).unwrap_or_else(|fault| panic!("{name}: {fault}"));
    let mut tensors = BTreeMap::new();
    for (key, view) in file.tensors() {
        let values = widen(view.dtype(), view.data()).unwrap_or_else(|| panic!("{name}: {key} is {:?}", view.dtype()));
        tensors.insert(key, (view.shape().to_vec(), values));
    }
    Some(Golden { tensors, metadata })
}

fn widen(dtype: Dtype, data: &[u8]) -> Option<Vec<f64>> {
    let words = || data.chunks_exact(4).map(|word| [word[0], word[1], word[2], word[3]]);
    match dtype {
        Dtype::F32 => Some(words().map(|word| f64::from(f32::from_le_bytes(word))).collect()),
        Dtype::I32 => Some(words().map(|word| f64::from(i32::from_le_bytes(word))).collect()),
        Dtype::I64 => {
            let longs = data.chunks_exact(8).map(|long| i64::from_le_bytes(long.try_into().expect("eight bytes")));
            Some(longs.map(|long| long as f64).collect())
        }
        Dtype::U8 => Some(data.iter().map(|&byte| f64::from(byte)).collect()),
        _ => None,
    }
}

/// Settings of an optimizer that the golden traces leave out, because they were the defaults of the code that made
/// them. For Muon that code is the commit before the scale of filters was changed.
pub fn defaults(optimizer: &str) -> Option<(String, String)> {
    (optimizer == "muon").then(|| ("scale".to_owned(), "keller".to_owned()))
}
