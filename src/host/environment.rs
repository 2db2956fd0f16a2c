//! Variables of the environment that choose the device, and how its kernels are built.
//!
//! | variable | what it does |
//! |---|---|
//! | `WGPU_BACKEND` | the graphics APIs to look for adapters in, by their names with commas |
//! | `WGPU_ADAPTER_NAME` | the adapter, by its index or part of its name, where the program is not told otherwise |
//! | `VELOGRAD_CHECKED` | 1: shaders check bounds and loops |
//! | `VELOGRAD_MATRIX` | 1: cooperative matrices are tried |
//! | `LP_NUM_THREADS` | threads of Mesa's software adapter, which would read a value that is no number as if it were not there |

use std::env::var_os;

use crate::error::{Error, Result, suggest};

/// What `WGPU_BACKEND` may name, as wgpu knows it.
const BACKENDS: [&str; 10] = ["vulkan", "vk", "metal", "mtl", "dx12", "d3d12", "gl", "gles", "opengl", "noop"];

/// The adapter to use where the program is not told otherwise.
pub fn adapter_name() -> Option<String> {
    text("WGPU_ADAPTER_NAME")
}

/// What was asked for in `WGPU_BACKEND`, if anything.
pub(super) fn backend() -> Option<String> {
    text("WGPU_BACKEND")
}

/// Whether shaders are built with their checks.
///
/// # Errors
/// [`Error::Config`] if the variable is neither 1 nor 0.
pub(super) fn checked() -> Result<bool> {
    switch("VELOGRAD_CHECKED", text("VELOGRAD_CHECKED"))
}

/// Whether cooperative matrices are tried.
///
/// # Errors
/// As [`checked`].
pub(super) fn matrix() -> Result<bool> {
    switch("VELOGRAD_MATRIX", text("VELOGRAD_MATRIX"))
}

/// Refuses a value of any of them that means nothing.
///
/// # Errors
/// [`Error::Config`] with the variable, its value and what it may be.
pub fn check() -> Result<()> {
    backends("WGPU_BACKEND", backend())?;
    checked()?;
    matrix()?;
    threads("LP_NUM_THREADS", text("LP_NUM_THREADS"))
}

/// A variable's value; one that is empty is as good as none.
fn text(name: &str) -> Option<String> {
    var_os(name).map(|value| value.to_string_lossy().into_owned()).filter(|value| !value.trim().is_empty())
}

fn wrong(name: &str, value: &str, hint: String) -> Error {
    Error::config(format!("the environment has {name}={value}"), hint)
}

fn switch(name: &str, value: Option<String>) -> Result<bool> {
    match value.as_deref().map(str::trim) {
        None | Some("" | "0") => Ok(false),
        Some("1") => Ok(true),
        Some(other) => Err(wrong(name, other, format!("{name} is 1 for yes, or 0 for no"))),
    }
}

fn backends(name: &str, value: Option<String>) -> Result<()> {
    let Some(value) = value else { return Ok(()) };
    for word in value.split(',') {
        let word = word.trim().to_lowercase();
        if !BACKENDS.contains(&word.as_str()) {
            let hint = suggest::hint(&word, &BACKENDS);
            return Err(wrong(name, &value, format!("{name} names graphics APIs with commas: {hint}")));
        }
    }
    Ok(())
}

fn threads(name: &str, value: Option<String>) -> Result<()> {
    match value {
        Some(value) if value.trim().parse::<u32>().is_err() => {
            Err(wrong(name, &value, format!("{name} is a number of threads")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_nothing_is_refused_by_the_name_of_its_variable() {
        let some = |text: &str| Some(text.to_owned());
        for (value, meant) in [(None, false), (some(""), false), (some("0"), false), (some("1"), true)] {
            assert_eq!(switch("VELOGRAD_CHECKED", value).unwrap(), meant);
        }
        for wrong in ["yes", "true", "2", "on"] {
            let error = switch("VELOGRAD_CHECKED", some(wrong)).unwrap_err().to_string();
            assert!(error.contains(&format!("VELOGRAD_CHECKED={wrong}")) && error.contains("1 for yes"), "{error}");
        }
        for right in ["vulkan", "VK, gl", "metal,dx12"] {
            backends("WGPU_BACKEND", some(right)).unwrap();
        }
        for (wrong, said) in [("nonsense", "vulkan"), ("", "there are"), ("vulcan", "did you mean `vulkan`")] {
            let error = backends("WGPU_BACKEND", some(wrong)).unwrap_err().to_string();
            assert!(error.contains(&format!("WGPU_BACKEND={wrong}")) && error.contains(said), "{error}");
        }
        threads("LP_NUM_THREADS", some("2")).unwrap();
        assert!(threads("LP_NUM_THREADS", some("two")).unwrap_err().to_string().contains("LP_NUM_THREADS=two"));
    }
}
