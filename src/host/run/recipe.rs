//! A recipe, from which a run can be repeated: its settings by their names on the command line, as JSON in `run.json`
//! and as TOML in `config.toml`.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    models,
    settings::Settings,
};

/// Settings by name, words joined by `-`. A setting without a value is null.
pub type Recipe = serde_json::Map<String, Value>;

/// Settings that do not change what a run computes. The data may be moved, as they are identified by their checksum.
pub(super) const FREE: [&str; 6] = ["data", "checkpoint-every", "keep", "log", "on-disk-full", "tune"];

/// The recipe of a run or an experiment, from its JSON file at `path`.
///
/// # Errors
/// [`Error::Data`] if the file has none.
pub fn of(file: &Value, path: &Path) -> Result<Recipe> {
    let found = match (&file["recipe"], &file["config"]) {
        (Value::Object(recipe), _) => return Ok(of_today(recipe.clone())),
        (Value::String(text), _) | (_, Value::String(text)) => match from_text(text) {
            Some(recipe) => return Ok(of_today(recipe)),
            None => text,
        },
        (Value::Null, Value::Null) => "none",
        _ => "another value",
    };
    Err(Error::data(path, "a recipe, as a table of settings", found, ""))
}

/// The name of the table of the network's settings.
pub const MODEL_SET: &str = "model-set";

/// A recipe with the network's settings in a table of their own, complete with the defaults. Older recipes have two of them
/// apart, for every network.
fn of_today(mut recipe: Recipe) -> Recipe {
    let name = recipe.get("model").and_then(Value::as_str).unwrap_or("resnet18");
    let Ok(model) = models::find(name) else { return recipe };
    let mut set = recipe.get(MODEL_SET).and_then(Value::as_object).cloned().unwrap_or_default();
    for key in ["stem", "width"] {
        if let Some(value) = recipe.remove(key).filter(|value| !value.is_null() && model.has(key)) {
            set.entry(key).or_insert(value);
        }
    }
    // A value that is out of its range stays as it is, and is refused where it is used.
    let complete = model.parse(&Settings::given(&set)).map(|settings| settings.to_json());
    recipe.insert(MODEL_SET.into(), complete.unwrap_or(Value::Object(set)));
    recipe
}

/// Parses a recipe in the older form, a text in TOML, in which settings that are off by default were left out unless
/// they were on.
fn from_text(text: &str) -> Option<Recipe> {
    let table: toml::Table = text.parse().ok()?;
    let mut recipe = Recipe::from_iter([
        ("precision".into(), json!("f32")),
        ("tta".into(), json!(false)),
        ("max-steps".into(), json!(null)),
        ("remainder".into(), json!("step")),
        ("warmup".into(), json!(0)),
        ("lookahead".into(), json!(null)),
        ("clip-norm".into(), json!(null)),
        ("clip-value".into(), json!(null)),
        ("no-decay".into(), json!("none")),
        ("label-smoothing".into(), json!(0.0)),
        ("dropout".into(), json!(0.0)),
        ("on-nan".into(), json!("skip")),
        ("validate-every".into(), json!(1)),
        ("early-stop".into(), json!(null)),
        ("val-split".into(), json!(null)),
    ]);
    for (key, value) in table {
        recipe.insert(key, serde_json::to_value(value).ok()?);
    }
    // A seed beyond TOML's integers was written as text.
    if let Some(seed) = recipe.get("seed").and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok()) {
        recipe.insert("seed".into(), seed.into());
    }
    Some(recipe)
}

/// The settings in which two recipes differ, a line each, except those in `but` and those that do not change what a run
/// computes. A setting that only one recipe has is no difference: the other was written before the setting existed. The
/// optimizer's settings are compared elsewhere, where they are complete with their defaults.
pub fn differences(there: &Recipe, here: &Recipe, but: &[&str]) -> Vec<String> {
    let compared = |key: &str| key != "set" && !FREE.contains(&key) && !but.contains(&key);
    let mut lines = Vec::new();
    for (key, there) in there.iter().filter(|(key, _)| compared(key)) {
        let Some(here) = here.get(key) else { continue };
        let name = format!("'{}'", key.replace('-', "_"));
        match (there, here) {
            (Value::Object(_), _) | (_, Value::Object(_)) => {
                lines.extend(table_differences(&format!("{name} "), there, here))
            }
            _ => lines.extend(difference(&name, there, here)),
        }
    }
    lines
}

/// The keys in which two tables differ, a line each; a key that only one of them has counts.
pub fn table_differences(name: &str, there: &Value, here: &Value) -> Vec<String> {
    let empty = Recipe::new();
    let (there, here) = (there.as_object().unwrap_or(&empty), here.as_object().unwrap_or(&empty));
    let keys = there.keys().chain(here.keys().filter(|key| !there.contains_key(*key)));
    let at = |table: &Recipe, key: &str| table.get(key).cloned().unwrap_or_default();
    keys.filter_map(|key| difference(&format!("{name}{key}"), &at(there, key), &at(here, key))).collect()
}

/// A line that names both values, if they differ.
pub fn difference(name: &str, there: &Value, here: &Value) -> Option<String> {
    // Two integers are compared exactly, since f64 cannot tell large ones apart; otherwise 1 and 1.0 are the same
    // number.
    let whole = |value: &Value| value.is_u64() || value.is_i64();
    let equal = || there.as_f64().is_some_and(|number| here.as_f64() == Some(number));
    let same = there == here || !(whole(there) && whole(here)) && equal();
    (!same).then(|| format!("{name}: there {}, here {}", word(there), word(here)))
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A recipe as TOML, without settings that have no value; tables come last, as TOML requires.
pub fn to_toml(recipe: &Recipe) -> String {
    let (mut plain, mut tables) = (toml::Table::new(), Vec::new());
    let mut lines = String::new();
    for (key, value) in recipe {
        match toml_value(value) {
            None => {}
            Some(toml::Value::Table(table)) if table.is_empty() => {}
            Some(toml::Value::Table(table)) => tables.push((key, table)),
            Some(value) => {
                plain.insert(key.clone(), value);
                lines += &toml::to_string(&plain).unwrap_or_default();
                plain.clear();
            }
        }
    }
    for (key, table) in tables {
        let table = toml::Table::from_iter([(key.clone(), toml::Value::Table(table))]);
        lines += &format!("\n{}", toml::to_string(&table).unwrap_or_default());
    }
    lines
}

/// A JSON value as TOML. JSON's integers may exceed TOML's; a larger one is written, and read again, as text.
fn toml_value(value: &Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(number)) if !value.is_u64() => number.into(),
            _ => number.to_string().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(list) => list.iter().filter_map(toml_value).collect::<Vec<_>>().into(),
        Value::Object(table) => {
            let pairs = table.iter().filter_map(|(key, value)| Some((key.clone(), toml_value(value)?)));
            toml::Value::Table(pairs.collect())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(value: Value) -> Recipe {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn differences_are_named_one_by_one() {
        let there = recipe(json!({ "width": 4, "schedule": "cosine", "early-stop": null, "data": "/a", "dropout": 0,
                                   "choice": { "a": "x", "b": "y" }, "set": { "lr": 1 }, "old": 1 }));
        let here = recipe(json!({ "width": 8, "schedule": "linear", "early-stop": 4, "data": "/b", "dropout": 0.0,
                                  "choice": { "b": "z" }, "set": {}, "new": 1 }));
        let lines = differences(&there, &here, &[]);
        assert_eq!(
            lines,
            [
                "'width': there 4, here 8",
                "'schedule': there cosine, here linear",
                "'early_stop': there none, here 4",
                "'choice' a: there x, here none",
                "'choice' b: there y, here z",
            ]
        );
        assert_eq!(differences(&there, &here, &["width", "schedule", "choice"]).len(), 1);
        // Both seeds are the same f64.
        assert!(difference("seed", &json!(u64::MAX), &json!(u64::MAX - 1)).is_some());
        assert_eq!(difference("dropout", &json!(0), &json!(0.0)), None);
    }

    #[test]
    fn toml_says_what_json_does() {
        let all =
            recipe(json!({ "set": { "lr": 0.001, "nesterov": true }, "width": 4, "early-stop": null, "seed": u64::MAX,
                                 "choice": {}, "dropout": 0.1, "optimizers": ["adam", "sgd"], "data": "/a b/\"c\"" }));
        let text = to_toml(&all);
        let table: toml::Table = text.parse().unwrap();
        assert!(!table.contains_key("early-stop") && !table.contains_key("choice"), "{text}");
        assert_eq!(table["seed"].as_str(), Some("18446744073709551615"));
        assert_eq!(table["set"]["lr"].as_float(), Some(0.001));
        assert_eq!(table["data"].as_str(), Some("/a b/\"c\""));
        assert!(text.find("dropout").unwrap() < text.find("[set]").unwrap(), "{text}");
    }

    #[test]
    fn a_recipe_of_before_is_read() {
        let path = Path::new("run.json");
        let old = of(&json!({ "config": "width = 4\nwarmup = 2\n[set]\nlr = \"0.1\"\n" }), path).unwrap();
        assert_eq!((&old["warmup"], &old["tta"]), (&json!(2), &json!(false)));
        // The network's settings are in a table, with the defaults of those that were not written down.
        let network = json!({ "stem": "imagenet", "width": 4, "zero_init": false });
        assert!(!old.contains_key("width") && old["model-set"] == network, "{old:?}");
        let airbench = of(&json!({ "recipe": { "model": "airbench94", "stem": null, "width": 8 } }), path).unwrap();
        assert_eq!(airbench["model-set"], json!({ "width": 8 }));
        for wrong in [json!({}), json!({ "config": "width = " }), json!({ "recipe": 3 }), json!([])] {
            assert!(of(&wrong, path).unwrap_err().to_string().contains("a recipe"), "{wrong}");
        }
    }
}
