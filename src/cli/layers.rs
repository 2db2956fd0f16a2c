//! Merges the flags of a command, flag by flag, from layers. From the strongest to the weakest these are the command
//! line, the table `[quick]` of `--config FILE.toml` if the preset quick is asked for, the rest of that file, a preset that either
//! of them names, the recipe of the run that is continued, the preset of the device, and the defaults. Several ranks
//! have a layer of their own, above a preset that is named.

use std::{fmt, path::PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    flags::{Flags, Preset, optimizer::canonical, present, recipe_of},
    toml_file::{self, TomlFile},
};
use crate::{
    data::DRAWN,
    error::{Error, Result},
    host::{
        data::known,
        ranks::launched,
        rule_file,
        run::{MODEL_SET, Recipe},
    },
    models::{self, Model, Quick},
    settings::Settings,
};

/// The source of a layer.
#[derive(Clone, Debug)]
pub enum Origin {
    CommandLine,
    File(TomlFile),
    Preset(Preset),
    /// The launcher of several ranks.
    Ranks,
    /// The `run.json` or `experiment.json` of the run or experiment that is continued.
    Begun(PathBuf),
    Defaults,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::File(file) => write!(f, "{}", file.path.display()),
            Self::Preset(preset) => write!(f, "preset {}", preset.name()),
            Self::Ranks => f.write_str("number of ranks"),
            Self::Begun(path) => write!(f, "{}", path.display()),
            Self::Defaults => f.write_str("default"),
        }
    }
}

/// Flags by name, and their source.
#[derive(Clone, Debug)]
pub struct Layer {
    pub origin: Origin,
    pub recipe: Recipe,
}

impl Layer {
    pub fn new(origin: Origin, flags: &impl Serialize) -> Result<Self> {
        Ok(Self { origin, recipe: present(recipe_of(flags)?) })
    }
}

/// Layers, from the strongest to the weakest.
#[derive(Clone, Debug)]
pub struct Layers(Vec<Layer>);

impl Layers {
    /// The layers that the user gave: the command line, and the recipe that `--config` names.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::Data`] or [`Error::Io`] if the recipe cannot be read, belongs to another command, or
    /// has an unknown key or an invalid value.
    pub fn given<F: Flags>(flags: &F) -> Result<Self> {
        let mut layer = Layer::new(Origin::CommandLine, flags)?;
        let sources = flags.sources();
        if sources.quick {
            layer.recipe.insert("preset".into(), Preset::Quick.name().into());
        }
        let mut layers = vec![layer];
        if let Some(path) = &sources.config {
            let toml_file::Read { file, recipe, quick } = toml_file::read::<F>(path)?;
            let preset = layers[0].recipe.get("preset").or_else(|| recipe.get("preset"));
            let is_quick = preset.is_some_and(|preset| preset == Preset::Quick.name());
            let quick = quick.filter(|_| is_quick).into_iter();
            layers.extend(
                quick.chain([(file, recipe)]).map(|(file, recipe)| Layer { origin: Origin::File(file), recipe }),
            );
        }
        for layer in &mut layers {
            name_as_known(&mut layer.recipe);
            fold_short_forms(layer, F::COMMAND)?;
        }
        Ok(Self(layers))
    }

    /// A single layer.
    pub fn only(layer: Layer) -> Self {
        Self(vec![layer])
    }

    /// Adds, below the others, the layer of the run or experiment that is continued.
    pub fn push(&mut self, layer: Layer) {
        self.0.push(layer);
    }

    /// The preset in the strongest layer that names one.
    pub fn preset(&self) -> Option<Preset> {
        self.0.iter().find_map(|layer| serde_json::from_value(layer.recipe.get("preset")?.clone()).ok())
    }

    /// Adds the layers of a preset and, below everything, of the defaults. If the user named a preset, it goes above
    /// the run that is continued.
    ///
    /// # Errors
    /// [`Error::Config`] if flags cannot be written as JSON.
    pub fn complete<F: Flags>(&self, preset: Preset) -> Result<Self> {
        let mut layers = self.0.clone();
        let asked = layers.iter().filter(|layer| !matches!(layer.origin, Origin::Begun(_)));
        let named = asked.clone().any(|layer| layer.recipe.contains_key("preset"));
        let at = if named { asked.count() } else { layers.len() };
        let mut of_preset = Layer::new(Origin::Preset(preset), &F::of_preset(preset))?;
        fold_short_forms(&mut of_preset, F::COMMAND)?;
        if let Some(Quick::Set(set)) = self.known_model().map(|model| model.quick)
            && of_preset.recipe.remove(MODEL_SET).is_some()
        {
            let set: Recipe = set.iter().map(|&(key, value)| (key.to_owned(), value.into())).collect();
            of_preset.recipe.insert(MODEL_SET.into(), set.into());
        }
        layers.insert(at, of_preset);
        layers.splice(at..at, self.of_ranks::<F>());
        layers.push(Layer::new(Origin::Defaults, &F::defaults())?);
        Ok(Self(layers))
    }

    /// A batch for each rank, if there are several and nobody has said how many batches there are to an update.
    fn of_ranks<F: Flags>(&self) -> Option<Layer> {
        let ranks = launched().filter(|launched| launched.rank.has_others())?.rank.of;
        let said = self.0.iter().any(|layer| layer.recipe.contains_key("accumulate"));
        let recipe = Recipe::from_iter([("accumulate".to_owned(), ranks.into())]);
        (F::COMMAND == "train" && !said).then_some(Layer { origin: Origin::Ranks, recipe })
    }

    /// The network that the strongest layer names.
    fn model(&self) -> Option<&str> {
        self.0.iter().find_map(|layer| layer.recipe.get("model")?.as_str())
    }

    fn known_model(&self) -> Option<&'static Model> {
        models::find(self.model()?).ok()
    }

    /// The merged flags, and a remark for each part of a layer that a stronger one makes void.
    ///
    /// # Errors
    /// [`Error::Config`] if a value is not valid for its flag.
    pub fn flags<F: DeserializeOwned>(&self) -> Result<(F, Vec<String>)> {
        let (recipe, remarks) = self.merged();
        let flags = serde_json::from_value(Value::Object(recipe)).map_err(|e| Error::config(e.to_string(), ""))?;
        Ok((flags, remarks))
    }

    fn merged(&self) -> (Recipe, Vec<String>) {
        let (mut merged, mut remarks) = (Recipe::new(), Vec::new());
        let model = self.model();
        for layer in self.0.iter().rev() {
            make_room(&mut merged, layer, &mut remarks);
            if let Some(model) = self.known_model() {
                make_room_for_preset(&mut merged, layer, model);
            }
            // Settings belong to the network that the same layer names; where it names none, to any.
            let other = layer.recipe.get("model").and_then(Value::as_str).filter(|own| Some(*own) != model);
            let of_other = |key: &str| other.is_some() && key == MODEL_SET;
            if let Some(other) = other.filter(|_| layer.recipe.contains_key(MODEL_SET)) {
                remarks.push(format!("the settings of {other} are left out: the network is another"));
            }
            for (key, value) in layer.recipe.iter().filter(|(key, _)| !of_other(key)) {
                match (merged.get_mut(key), value) {
                    (Some(Value::Object(below)), Value::Object(above)) => below.extend(above.clone()),
                    _ => drop(merged.insert(key.clone(), value.clone())),
                }
            }
        }
        (merged, remarks)
    }

    /// The value that a flag has on the command line.
    pub fn on_command_line(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|layer| matches!(layer.origin, Origin::CommandLine))?.recipe.get(key)
    }

    /// Every flag that has a value, with the source of that value.
    pub fn explained(&self) -> Vec<String> {
        let (merged, _) = self.merged();
        let whence = |has: &dyn Fn(&Recipe) -> bool| {
            self.0.iter().find(|layer| has(&layer.recipe)).map_or(String::new(), |layer| layer.origin.to_string())
        };
        let word = |value: &Value| match value {
            Value::Array(list) => list.iter().map(Value::to_string).collect::<Vec<_>>().join(",").replace('"', ""),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let line = |key: &str, value: &Value, origin: String| format!("{key:<18} {:<16} {origin}", word(value));
        let mut lines = vec![];
        for (key, value) in &merged {
            let Value::Object(table) = value else {
                lines.push(line(key, value, whence(&|recipe| recipe.contains_key(key))));
                continue;
            };
            // The entries of a table may come from several layers.
            for (entry, value) in table {
                let has = |recipe: &Recipe| recipe.get(key).is_some_and(|table| !table[entry].is_null());
                lines.push(line(&format!("{key} {entry}"), value, whence(&has)));
            }
        }
        lines
    }

    /// Adds to an error the file and line of the setting that it is about, if that is in a recipe.
    pub fn locate(&self, error: Error) -> Error {
        let Error::Config { setting: Some(setting), .. } = error else { return error };
        let key = setting.replace('_', "-");
        match self.0.iter().find(|layer| layer.recipe.contains_key(&key)).map(|layer| &layer.origin) {
            Some(Origin::File(file)) => match error {
                Error::Config { message, hint, setting } => {
                    let name =
                        |text: String| text.replace(&format!("'{}'", setting.unwrap_or_default()), &format!("`{key}`"));
                    Error::config(format!("{}: {}", file.place(&key), name(message)), name(hint))
                }
                other => other,
            },
            _ => error,
        }
    }

    /// Adds to an error about a setting of the network the file and line of that setting, if it is in a recipe.
    pub fn locate_model_set(&self, error: Error, model: &Model) -> Error {
        let wrong = |key: &str, value: &str| model.parse(&[(key.into(), value.into())]).is_err();
        self.locate_in(MODEL_SET, error, model.name, wrong)
    }

    /// Adds to an error about a setting of the optimizer `name` the file and line of that setting, if it is in a
    /// recipe: the first one in `set` for which `wrong` holds. A recipe may have it under another key, `set adam:lr`
    /// instead of `lr`.
    pub fn locate_set(&self, error: Error, name: &str, wrong: impl Fn(&str, &str) -> bool) -> Error {
        self.locate_in("set", error, name, wrong)
    }

    fn locate_in(&self, table: &str, error: Error, name: &str, wrong: impl Fn(&str, &str) -> bool) -> Error {
        // The setting's own name in settings of several rules; `None` for a setting of another rule.
        let own = |key: &str| match key.rsplit_once(':') {
            Some((rule, setting)) => (rule == name).then(|| setting.to_owned()),
            None => Some(key.to_owned()),
        };
        for layer in &self.0 {
            let Some(Value::Object(set)) = layer.recipe.get(table) else { continue };
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let found = set.iter().find(|(key, value)| own(key).is_some_and(|key| wrong(&key, &text(value))));
            let (Some((key, _)), Error::Config { message, hint, .. }) = (found, &error) else { continue };
            return match &layer.origin {
                Origin::File(file) => Error::config(format!("{}: {message}", file.place_in(table, key)), hint.clone()),
                _ => error,
            };
        }
        error
    }
}

/// Writes names in their usual spelling, whatever their case. Unknown names stay, and are refused where they are looked
/// up.
fn name_as_known(recipe: &mut Recipe) {
    type AsKnown = fn(&str) -> Option<String>;
    let known: [(&str, AsKnown); 4] = [
        ("model", |name| Some(models::find(name).ok()?.name.to_owned())),
        ("dataset", |name| Some(known(name).ok()?.to_owned())),
        ("optimizer", |name| Some(canonical(name))),
        ("schedule", |name| Some(name.to_lowercase())),
    ];
    for (key, known) in known {
        if let Some(Value::String(name)) = recipe.get_mut(key)
            && let Some(known) = known(name)
        {
            *name = known;
        }
    }
    if let Some(Value::Array(names)) = recipe.get_mut("optimizers") {
        names.iter_mut().for_each(|name| *name = canonical(name.as_str().unwrap_or_default()).into());
    }
    if let Some(Value::Object(set)) = recipe.get_mut("set") {
        let named = |(key, value): (String, Value)| match key.rsplit_once(':') {
            Some((name, setting)) => (format!("{}:{setting}", canonical(name)), value),
            None => (key, value),
        };
        *set = std::mem::take(set).into_iter().map(named).collect();
    }
}

/// Flags that are short forms of a setting of the optimizer or of the network: the flag, the table of settings, and the
/// setting's name.
pub const SHORT_FORMS: [(&str, &str, &str); 5] = [
    ("lr", "set", "lr"),
    ("weight-decay", "set", "weight_decay"),
    ("momentum", "set", "momentum"),
    ("stem", MODEL_SET, "stem"),
    ("width", MODEL_SET, "width"),
];

/// Moves the values of short forms into the settings.
fn fold_short_forms(layer: &mut Layer, command: &str) -> Result<()> {
    for (flag, table, setting) in SHORT_FORMS {
        if command == "sweep" && flag == "lr" {
            continue; // a list
        }
        let Some(value) = layer.recipe.remove(flag) else { continue };
        let set = layer.recipe.entry(table).or_insert_with(|| Recipe::new().into());
        let Value::Object(set) = set else { continue };
        let same = |other: &Value| *other == value || (value.is_number() && other.as_f64() == value.as_f64());
        if let Some(other) = set.get(setting).filter(|other| !same(other)) {
            let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let message = match &layer.origin {
                Origin::File(file) => {
                    format!("{}: `{flag} = {value}`, and `{setting} = {other}` in `{table}`", file.place(flag))
                }
                _ => format!("--{flag} {} and --{table} {setting}={}", word(&value), word(other)),
            };
            return Err(Error::config(message, format!("{flag} is short for the latter: drop one of them")));
        }
        set.insert(setting.into(), value);
    }
    Ok(())
}

/// Removes from the layers below the settings of the network that a preset of this one states.
fn make_room_for_preset(below: &mut Recipe, layer: &Layer, model: &Model) {
    let Some(Value::Object(above)) = layer.recipe.get(MODEL_SET) else { return };
    if let (Ok(full), Some(Value::Object(set))) = (model.in_full(&Settings::given(above)), below.get_mut(MODEL_SET)) {
        set.retain(|key, _| full.iter().all(|(stated, _)| stated != key));
    }
}

/// Removes from the layers below what has no meaning beside this one: settings of another optimizer, and the path of
/// other images.
fn make_room(below: &mut Recipe, layer: &Layer, remarks: &mut Vec<String>) {
    let differs = |key: &str, below: &Recipe| {
        let (above, below) = (layer.recipe.get(key)?.as_str()?, below.get(key)?.as_str()?);
        let same = above.eq_ignore_ascii_case(below) || rule_file::same_file(above, below);
        (!same).then(|| below.to_owned())
    };
    let kept = |below: &Recipe| below.get("set").and_then(Value::as_object).is_some_and(|set| !set.is_empty());
    if let Some(other) = differs("optimizer", below).filter(|_| kept(below)) {
        remarks.push(format!("the settings of {other} are left out: the optimizer is another"));
        below.remove("set");
    }
    if let Some(Value::Array(names)) = layer.recipe.get("optimizers")
        && let Some(Value::Object(set)) = below.get_mut("set")
    {
        let named = |key: &str| {
            let name = key.rsplit_once(':').map_or(key, |(name, _)| name);
            names.iter().filter_map(Value::as_str).any(|known| rule_file::called(known).eq_ignore_ascii_case(name))
        };
        set.retain(|key, _| named(key));
    }
    if differs("dataset", below).is_some() {
        // The size belongs to the pictures, and what text is cut into to the text.
        below.remove("image-size");
        below.remove("tokens");
        if !layer.recipe.contains_key("data") {
            below.remove("data");
        }
    }
    let drawn = below
        .get("dataset")
        .and_then(Value::as_str)
        .is_some_and(|name| DRAWN.iter().any(|drawn| drawn.eq_ignore_ascii_case(name)));
    if drawn && layer.recipe.contains_key("data") && !layer.recipe.contains_key("dataset") {
        below.remove("dataset");
    }
}
