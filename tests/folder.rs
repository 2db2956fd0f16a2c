//! Runs the program in a temporary folder, and makes files for it.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

/// A temporary folder for one test, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        // Tests run side by side, and two may have chosen one name.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let (process, nth) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("velograd-cli-{name}-{process}-{nth}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn velograd(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_velograd"))
            .args(arguments)
            .env("VELOGRAD_CACHE", self.0.join("cache"))
            .current_dir(&self.0)
            .output()
            .unwrap()
    }

    /// Runs the program, expects an error with this exit code, and returns its output.
    pub fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.velograd(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains("error:") && !said.contains("panicked"), "{arguments:?}: {said}");
        said
    }

    pub fn works(&self, arguments: &[&str]) -> String {
        let output = self.velograd(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `count` records in CIFAR-10's format, with every class in turn; each image is a shade of its class.
pub fn records(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| [vec![(i % 10) as u8], vec![(i % 10 * 25) as u8; 3072]].concat()).collect()
}

/// Asserts that the text contains every part.
pub fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

/// A file of bytes in IDX, whose values count to ten.
pub fn idx(dims: &[u32]) -> Vec<u8> {
    let header = [0, 0, 8, dims.len() as u8];
    let dims_bytes = dims.iter().flat_map(|dim| dim.to_be_bytes());
    header.into_iter().chain(dims_bytes).chain((0..dims.iter().product::<u32>()).map(|i| (i % 10) as u8)).collect()
}
