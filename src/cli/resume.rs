//! Finds what `--resume` names (a run, the newest of several, or one of a run's checkpoints), and compares the run with
//! what is asked for.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde_json::Value;

use super::{
    flags::{Flags, present, recipe_of},
    layers::{Layer, Layers, Origin},
    recipe::OF_THIS_START,
};
use crate::{
    error::{Error, Result},
    host::{
        files::absolute,
        rule_file,
        run::{self, CHECKPOINTS, Recipe},
    },
    lab::runs,
};

/// The word for the newest run.
pub const LATEST: &str = "latest";

/// The default folder of runs.
const RUNS: &str = "runs";

/// A run that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub folder: PathBuf,
    /// The checkpoint to continue from; if `None`, the newest.
    pub checkpoint: Option<PathBuf>,
    /// Whether it was found in a folder of several runs, and not named.
    pub found: bool,
}

/// Finds the run that `what` means: by its folder, by a folder with several runs or the word `latest` (the run that was
/// written to last), or by one of its checkpoints.
///
/// # Errors
/// [`Error::Data`] if there is none.
pub fn find(what: &Path) -> Result<Target> {
    let named = |folder: &Path, checkpoint: Option<&Path>| {
        Ok(Target { folder: folder.to_owned(), checkpoint: checkpoint.map(Path::to_owned), found: false })
    };
    let is_run = |folder: &Path| folder.join("run.json").is_file();
    if is_run(what) {
        return named(what, None);
    }
    let of_checkpoints = |folder: &Path| {
        let run = folder.parent().filter(|_| folder.file_name().is_some_and(|name| name == CHECKPOINTS))?;
        // The parent of `checkpoints` is the current folder.
        let run = if run.as_os_str().is_empty() { Path::new(".") } else { run };
        is_run(run).then(|| run.to_owned())
    };
    if let Some(run) = of_checkpoints(what) {
        return named(&run, None);
    }
    if what.is_file() {
        return match what.parent().and_then(of_checkpoints) {
            Some(run) => named(&run, Some(what)),
            None => {
                let expected = "a checkpoint in the folder of its run, as RUN/checkpoints/step-000000100.safetensors";
                Err(Error::data(what, expected, "a file elsewhere", "weights alone can begin a run: --init FILE"))
            }
        };
    }
    let (below, latest) = match what.to_str() {
        Some(LATEST) if !what.exists() => (Path::new(RUNS), true),
        _ => (what, false),
    };
    let newest = runs::find(below).into_iter().filter_map(|folder| Some((written(&folder)?, folder))).max();
    if let Some((_, folder)) = newest {
        return Ok(Target { folder, checkpoint: None, found: true });
    }
    let hint = if latest {
        "name the run's folder, which was its --out"
    } else {
        "a run's folder is what its --out was, or one in runs/"
    };
    Err(Error::data(below, "the folder of a run, or one with runs in it", "no run.json", hint))
}

/// When a run was last written to; `None` if the folder holds no run.
fn written(run: &Path) -> Option<SystemTime> {
    let time = |name: &str| fs::metadata(run.join(name)).and_then(|data| data.modified()).ok();
    let begun = time("run.json")?;
    Some(["steps.jsonl", "metrics.jsonl"].into_iter().filter_map(time).fold(begun, SystemTime::max))
}

/// The layer of flags that a run was started with.
///
/// # Errors
/// [`Error::Data`] if its `run.json` has no recipe, or if a value in it is not valid for its flag.
pub fn begun<F: Flags>(run: &Value, path: &Path) -> Result<Layer> {
    let mut recipe = run::recipe(run, path)?;
    let read = serde_json::from_value::<F>(Value::Object(present(recipe.clone())));
    read.map_err(|error| Error::data(path, "a recipe with the values of flags", error.to_string(), ""))?;
    if let Some(seed) = run["dataset"]["seed"].as_u64() {
        recipe.entry("data-seed").or_insert(seed.into());
    }
    Ok(Layer { origin: Origin::Begun(path.to_owned()), recipe: present(recipe) })
}

/// The settings in which an existing run or experiment differs from what is asked for now, the complete flags of `F`,
/// except those in `but`.
///
/// # Errors
/// [`Error::Config`] if the existing recipe has a value that is not valid for its flag.
pub fn differences<F: Flags>(begun: &Layer, mut asked: Recipe, but: &[&str]) -> Result<Vec<String>> {
    // Completed with the defaults, which settings that were not written down had.
    let preset = Layers::only(begun.clone()).preset().unwrap_or(super::flags::Preset::Paper);
    let (begun, _) = Layers::only(begun.clone()).complete::<F>(preset)?.flags::<F>()?;
    // What `auto` means on this device is compared once that is known.
    asked.retain(|key, value| !OF_THIS_START.contains(&key.as_str()) && (key != "precision" || value != "auto"));
    let mut begun = recipe_of(&begun)?;
    for recipe in [&mut begun, &mut asked] {
        if let Some(Value::String(path)) = recipe.get_mut("init") {
            *path = absolute(Path::new(path));
        }
        if let Some(Value::String(rule)) = recipe.get_mut("optimizer") {
            *rule = rule_file::absolute(rule);
        }
    }
    Ok(run::differences(&begun, &asked, but))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_by_what_they_are_called() {
        let root = std::env::temp_dir().join(format!("velograd-find-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let write = |name: &str| {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), "{}").unwrap();
        };
        let wait = || std::thread::sleep(std::time::Duration::from_millis(20));
        write("runs/old/run.json");
        wait();
        write("runs/cmp/runs/adam/seed-0/run.json");
        write("runs/empty/notes.txt");
        write("runs/old/checkpoints/step-000000001.safetensors");
        let folder = |target: Result<Target>| target.unwrap().folder;
        let of = |name: &str| root.join(name);
        assert_eq!(folder(find(&of("runs"))), of("runs/cmp/runs/adam/seed-0"));
        assert!(find(&of("runs")).unwrap().found);
        wait();
        write("runs/old/steps.jsonl"); // this run continues
        assert_eq!(folder(find(&of("runs"))), of("runs/old"));
        let named = |checkpoint: Option<PathBuf>| Target { folder: of("runs/old"), checkpoint, found: false };
        assert_eq!(find(&of("runs/old")).unwrap(), named(None));
        assert_eq!(find(&of("runs/old/checkpoints")).unwrap(), named(None));
        let file = of("runs/old/checkpoints/step-000000001.safetensors");
        assert_eq!(find(&file).unwrap(), named(Some(file)));
        for wrong in ["runs/empty", "runs/empty/notes.txt", "nowhere"] {
            assert!(find(&of(wrong)).unwrap_err().to_string().contains(wrong), "{wrong}");
        }
        fs::remove_dir_all(&root).unwrap();
    }
}
