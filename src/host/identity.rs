//! Identifies the build of the program, on which a run's bits depend besides its settings, its data and its device.
//!
//! The version is not enough, since kernels change between releases. So a build is identified by a hash of all its
//! shaders and of the code that generates WGSL, and by its commit if it was built from a git tree or a package of one.
//! `build.rs` finds both.

use serde_json::{Value, json};

include!(concat!(env!("OUT_DIR"), "/identity.rs"));

/// The version of the crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit and the hash of the kernels, which `run.json` holds beside the version.
pub fn build() -> Value {
    json!({ "commit": COMMIT, "kernels": KERNELS })
}

/// Describes the build that a `run.json` or an `experiment.json` holds.
pub fn in_words(file: &Value) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let build = &file["build"];
    let parts = [("commit", text(&build["commit"])), ("kernels", text(&build["kernels"]))];
    let parts: Vec<_> = parts.into_iter().filter_map(|(what, value)| Some(format!("{what} {}", value?))).collect();
    let version = text(&file["version"]).unwrap_or_else(|| "of an unknown version".into());
    let parts = if parts.is_empty() { "of unknown kernels".to_owned() } else { parts.join(", ") };
    format!("velograd {version} ({parts})")
}

/// A remark for a run that another build worked on last and this build continues; `None` if it was this build.
pub fn other_build(run: &Value) -> Option<String> {
    let last = last_build(run);
    if last["build"] == build() && last["version"] == VERSION {
        return None;
    }
    let kernels = if last["build"]["kernels"] == KERNELS {
        "the kernels are the same, the program around them is not, so the bits may differ from those of an undisturbed run"
    } else {
        "the kernels differ, so the bits are not those of an undisturbed run"
    };
    Some(format!("so far by {}, from here by velograd {TEXT}: {kernels}", in_words(&last)))
}

/// The version and build that worked on a run last.
fn last_build(run: &Value) -> Value {
    let last = run["continued_by"].as_array().and_then(|list| list.last()).unwrap_or(run);
    json!({ "version": last["version"], "build": last["build"] })
}

/// Copies from `before`, the run's previous `run.json`, which builds have worked on the run, and appends this build if
/// it was not the last, with the number of updates after which it continued.
pub fn continued(before: &Value, run: &mut Value, update: u64) {
    run["build"] = before["build"].clone();
    let mut list = before["continued_by"].as_array().cloned().unwrap_or_default();
    if other_build(before).is_some() {
        list.push(json!({ "after_update": update, "version": VERSION, "build": build() }));
    }
    if !list.is_empty() {
        run["continued_by"] = list.into();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{COMMIT, KERNELS, TEXT, VERSION, build, continued, other_build};

    #[test]
    fn this_build_says_what_it_is() {
        assert!(KERNELS.len() == 12 && KERNELS.bytes().all(|byte| byte.is_ascii_hexdigit()), "{KERNELS}");
        assert!(TEXT.starts_with(VERSION) && TEXT.contains(KERNELS), "{TEXT}");
        let digits = |commit: &str| commit.trim_end_matches("-dirty").len();
        assert!(COMMIT.is_none_or(|commit| digits(commit) == 12 && TEXT.contains(commit)), "{COMMIT:?}");
    }

    #[test]
    fn another_build_is_said_once_and_kept() {
        let of = |kernels: &str, commit: &str| json!({ "version": VERSION, "build": { "commit": commit, "kernels": kernels } });
        let same = json!({ "version": VERSION, "build": build() });
        assert_eq!(other_build(&same), None);
        let other = of("0123456789ab", "abcdefabcdef");
        let said = other_build(&other).unwrap();
        for part in ["commit abcdefabcdef, kernels 0123456789ab", KERNELS, "the kernels differ"] {
            assert!(said.contains(part), "`{part}` is not in: {said}");
        }
        assert!(other_build(&of(KERNELS, "abcdefabcdef")).unwrap().contains("the kernels are the same"));
        assert!(other_build(&json!({ "version": VERSION })).unwrap().contains("of unknown kernels"));

        let mut run = same.clone();
        continued(&same, &mut run, 7);
        assert_eq!(run, same, "nothing to keep");
        continued(&other, &mut run, 7);
        assert_eq!(run["build"], other["build"], "what began it stays");
        assert_eq!((&run["continued_by"][0]["after_update"], &run["continued_by"][0]["build"]), (&json!(7), &build()));
        assert_eq!(other_build(&run), None, "it is this build's by now");
        let mut again = Value::Null;
        continued(&run, &mut again, 9);
        assert_eq!(again["continued_by"], run["continued_by"]);
    }
}
