//! Environment variables that choose the device and how its shaders are compiled.
//!
//! | variable | meaning |
//! |---|---|
//! | `WGPU_BACKEND` | the graphics APIs in which adapters are looked for, separated by commas |
//! | `WGPU_ADAPTER_NAME` | the adapter to use if the caller names none: its index or a part of its name |
//! | `VELOGRAD_CHECKED` | 1: shaders check array bounds and bound loops |
//! | `VELOGRAD_PORTABLE` | 1: only what every WebGPU device has is used, as in a browser |
//! | `VELOGRAD_MATRIX` | 1: cooperative matrices are requested |
//! | `LP_NUM_THREADS` | number of threads of Mesa's software adapter lavapipe, which ignores a value that is no number |

use std::env::var_os;

use crate::error::{Error, Result, suggest};

/// The names that `WGPU_BACKEND` may hold, as wgpu defines them.
const BACKENDS: [&str; 10] = ["vulkan", "vk", "metal", "mtl", "dx12", "d3d12", "gl", "gles", "opengl", "noop"];

/// The value of `WGPU_ADAPTER_NAME`: the adapter to use if the caller names none.
pub fn adapter_name() -> Option<String> {
    text("WGPU_ADAPTER_NAME")
}

/// The value of `WGPU_BACKEND`, if it is set.
pub(super) fn backend() -> Option<String> {
    text("WGPU_BACKEND")
}

/// Whether shaders check array bounds and bound loops (`VELOGRAD_CHECKED`).
///
/// # Errors
/// [`Error::Config`] if the variable is neither 1 nor 0.
pub(super) fn checked() -> Result<bool> {
    switch("VELOGRAD_CHECKED", text("VELOGRAD_CHECKED"))
}

/// Whether only what every WebGPU device has is used (`VELOGRAD_PORTABLE`).
///
/// # Errors
/// As [`checked`].
pub(super) fn portable() -> Result<bool> {
    switch("VELOGRAD_PORTABLE", text("VELOGRAD_PORTABLE"))
}

/// Whether cooperative matrices are requested (`VELOGRAD_MATRIX`).
///
/// # Errors
/// As [`checked`].
pub(super) fn matrix() -> Result<bool> {
    switch("VELOGRAD_MATRIX", text("VELOGRAD_MATRIX"))
}

/// Checks the variables above, since wgpu and Mesa silently ignore wrong values.
///
/// # Errors
/// [`Error::Config`] with the variable, its value and the values that it may have.
pub fn check() -> Result<()> {
    backends("WGPU_BACKEND", backend())?;
    checked()?;
    portable()?;
    matrix()?;
    threads("LP_NUM_THREADS", text("LP_NUM_THREADS"))
}

/// The value of a variable; `None` if it is unset or blank.
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
