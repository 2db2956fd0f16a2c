//! Remembers in the user's cache folder which kernels tuning found fastest for the matrix products on a device.

use std::{collections::BTreeMap, path::PathBuf};

use crate::{
    device::Gpu,
    host::{
        cache,
        files::{TEXT_LIMIT, read, write_atomically},
        identity,
    },
    program::target::Target,
    training::tune::{Choices, Measured},
};

/// The choices that tuning has found on a device.
pub struct Memory {
    path: Option<PathBuf>,
    /// Choices as text by the name of the product, since another version may have written ones unknown here.
    words: BTreeMap<String, String>,
}

impl Memory {
    /// The choices that the user's cache folder has for this device, driver and kernels; none if there is no file or it
    /// cannot be read.
    pub fn of(gpu: &Gpu) -> Self {
        let device = format!("{} {gpu}", gpu.info.backend);
        let path = cache::folder().map(|folder| folder.join(file_name(&device, identity::KERNELS)));
        let words = path.as_ref().and_then(|path| serde_json::from_slice(&read(path, TEXT_LIMIT).ok()?).ok());
        Self { path, words: words.unwrap_or_default() }
    }

    /// The remembered choices that are valid for this target.
    pub fn choices(&self, target: &Target) -> Choices {
        let known = self.words.iter().filter_map(|(name, word)| Some((name.clone(), target.choice(word)?)));
        known.collect()
    }

    /// Stores the choices for products whose measurement is complete. A file that cannot be written is no error: the
    /// next start measures again.
    pub fn keep(&mut self, found: &[Measured]) {
        let whole = found.iter().filter(|measured| measured.whole);
        self.words.extend(whole.map(|m| (m.product.name.clone(), m.best().0.to_string())));
        let Some(path) = &self.path else { return };
        if path.parent().is_some_and(|folder| std::fs::create_dir_all(folder).is_ok()) {
            let _ = write_atomically(path, &serde_json::to_vec_pretty(&self.words).unwrap_or_default());
        }
    }
}

/// The name holds version and kernels, since measurements of other kernels say nothing about these.
fn file_name(device: &str, kernels: &str) -> String {
    format!("tuned_{}_{kernels}_{:08x}.json", identity::VERSION, crc32fast::hash(device.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{Measured, Memory, file_name};
    use crate::program::{
        product::{Choice, Gemm, Product},
        target::Target,
    };

    #[test]
    fn each_device_and_all_kernels_have_a_file() {
        let names = [("a", "0123"), ("b", "0123"), ("a", "4567")].map(|(device, kernels)| file_name(device, kernels));
        assert!(names[0] != names[1] && names[0] != names[2], "{names:?}");
    }

    /// A product whose measurement is incomplete is measured again at the next start.
    #[test]
    fn only_what_was_measured_whole_is_remembered() {
        let [table, other] = [0, 1].map(|nth| Choice { gemm: Gemm::TILES[nth], parts: 1 });
        let measured = |name: &str, whole| {
            let name = name.to_owned();
            let product =
                Product { path: "conv2d/forward", name, rows: 64, cols: 64, count: 1, terms: 64, half: false };
            Measured { product, times: 1, seconds: vec![(table, 2.0), (other, 1.0)], whole }
        };
        let mut memory = Memory { path: None, words: Default::default() };
        memory.keep(&[measured("whole", true), measured("begun", false)]);
        let choices = memory.choices(&Target::portable());
        assert_eq!(choices.into_iter().collect::<Vec<_>>(), [("whole".to_owned(), other)]);
    }
}
