//! The header of a rule: TOML in the `//!` lines that its file begins with.

mod reader;
mod scope;
mod setting;

pub use scope::constants_of;

use std::collections::BTreeSet;

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{
    Fault,
    expression::{Expression, Lines},
};
use crate::{
    error::suggest,
    optim::Start,
    settings::{Kind, Setting},
};
use reader::{Reader, Table, in_order, toml_of};
use scope::{Context, Scope};

/// The contents of a rule's header.
#[derive(Debug)]
pub struct Header {
    /// The paper or code that the rule is from.
    pub source: String,
    pub settings: Vec<Setting>,
    /// Conditions that the settings must meet together, each with the message for settings that do not.
    pub requirements: Vec<(Expression, String)>,
    /// Constants of the WGSL that the settings decide, with names in capitals. The constants that flags and choices
    /// become are not listed ([`constants_of`]).
    pub constants: Vec<(String, Expression)>,
    /// The state buffers.
    pub state: Vec<State>,
    /// Numbers per update, sorted so that each comes after those that it reads.
    pub scalars: Vec<Scalar>,
    /// Numbers that the device keeps from one update to the next.
    pub kept: Vec<Kept>,
    /// What the sums of `measure` run over, if the rule has this function.
    pub measure: Option<Over>,
    /// The name of the setting with the norm to which the gradient is clipped before the rule; if it is 0, the gradient
    /// is not clipped.
    pub clip_norm: Option<String>,
}

/// A state buffer: one f32 per parameter.
#[derive(Debug)]
pub struct State {
    /// The name of its field of `Element`.
    pub name: String,
    /// The condition on the settings under which it exists; without a condition it always does.
    pub condition: Option<Expression>,
    /// Its initial values.
    pub start: Start,
}

/// A number that the host computes in f64.
#[derive(Debug)]
pub struct Scalar {
    /// The name of its field of `at`.
    pub name: String,
    /// The expression of its value.
    pub expression: Expression,
    /// Whether it changes with the number of the update.
    pub of_t: bool,
    /// The line and the column of its name in the file.
    pub place: (usize, usize),
}

/// A number that the device keeps; 0 before the first update.
#[derive(Debug)]
pub struct Kept {
    /// The name of its field of `at`.
    pub name: String,
    /// The condition on the settings under which it is kept; without a condition it always is.
    pub condition: Option<Expression>,
    /// The expression of its next value.
    pub next: Expression,
}

/// What a sum runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The elements of each tensor.
    Tensor,
    /// The elements of all tensors.
    All,
}

/// The most settings of a rule; also the most constants, requirements and scalars, and the most words of a choice.
const MOST: usize = 64;

/// The most state buffers. With the report, a table, the gradients and the parameters they make the eight storage
/// buffers that every device can bind.
const MOST_STATE: usize = 4;

/// The most products. A resumed run computes each from its first factor on, which takes time.
const MOST_PRODUCTS: usize = 4;

/// The most numbers that the device keeps.
const MOST_KEPT: usize = 4;

/// Names that a state buffer of a rule cannot have: the other fields of `Element`, and state buffers of the program's
/// own.
const ELEMENT: [&str; 6] = ["p", "g", "weight_decay", "sums", "kept", "lookahead_slow"];

/// The fields of `at` that every rule has.
pub const UPDATE: [&str; 3] = ["lr", "t", "grad_norm"];

/// The name by which expressions read the learning rate of the settings. `lr` is that of the update, which a schedule
/// may change.
pub const INITIAL_LR: &str = "initial_lr";

impl Header {
    /// All expressions of the header.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let conditions = self.state.iter().filter_map(|s| s.condition.as_ref());
        let conditions = conditions.chain(self.kept.iter().filter_map(|k| k.condition.as_ref()));
        let decided = self.requirements.iter().map(|(that, _)| that).chain(self.constants.iter().map(|(_, e)| e));
        let numbers = self.scalars.iter().map(|s| &s.expression).chain(self.kept.iter().map(|k| &k.next));
        conditions.chain(decided).chain(numbers)
    }

    /// Parses the header of a rule's file.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let (lines, toml) = toml_of(text);
        if lines == 0 {
            let message = "a rule begins with `//!` lines that state its source, settings and state in TOML";
            return Err(Fault::new((1, 1), message).hint("docs/RULES.md explains the format"));
        }
        let reader = Reader::new(&toml);
        let document = DeTable::parse(&toml).map_err(|e| {
            let at = e.span().map_or((1, 1), |span| reader.place(span.start));
            Fault::new(at, format!("TOML: {}", e.message()))
        })?;
        reader.header(document.get_ref())
    }
}

impl Reader<'_> {
    fn header(&self, table: &DeTable<'_>) -> Result<Header, Fault> {
        const KEYS: [&str; 9] =
            ["source", "settings", "require", "constants", "state", "scalars", "kept", "measure", "clip_norm"];
        let entries = in_order(table);
        if let Some((key, _)) = entries.iter().find(|(key, _)| !KEYS.contains(&&**key.get_ref())) {
            return self.unknown(key, "the header", &KEYS);
        }
        let get = |name: &str| entries.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| *value);
        let section = |name: &str| match get(name) {
            Some(value) => self.table(value, &format!("[{name}]")),
            None => Ok(vec![]),
        };
        let Some(source) = get("source") else {
            return self.fault(0, "`source = \"...\"` is missing: where the rule is from");
        };
        let source = self.string(source, "source")?.trim().to_owned();
        if source.is_empty() || source.chars().any(char::is_control) {
            return self.fault(0, "source is a line of text");
        }
        let table = section("settings")?;
        self.few(&table, MOST, "settings", 0)?;
        let settings = table.iter().map(|(key, value)| self.setting(key, value)).collect::<Result<Vec<_>, _>>()?;
        match settings.iter().find(|s| s.key == "lr") {
            Some(Setting { kind: Kind::Number { .. }, .. }) => {}
            _ => return self.fault(0, "[settings] has no number `lr`, the learning rate"),
        }
        let mut scope = Scope { settings: &settings, constants: BTreeSet::new(), scalars: vec![], kept: vec![] };
        for (setting, (key, _)) in settings.iter().zip(&table) {
            for name in constants_of(setting) {
                if !scope.constants.insert(name.clone()) {
                    let message = format!("two settings make the constant `{name}`: one of them needs another name");
                    return self.fault(key.span().start, message);
                }
            }
        }

        let table = section("constants")?;
        self.few(&table, MOST, "constants", 0)?;
        let mut constants = Vec::new();
        for (key, value) in table {
            let name = self.name(key, true)?;
            let expression = self.expression_in(value, "a constant", &scope, Context::Settings)?;
            if !scope.constants.insert(name.clone()) {
                return self.fault(key.span().start, format!("there is a constant `{name}` already"));
            }
            constants.push((name, expression));
        }
        let requirements = match get("require") {
            Some(value) => self.requirements(value, &scope)?,
            None => vec![],
        };
        let state = section("state")?;
        self.few(&state, MOST_STATE, "words of state", state.get(MOST_STATE).map_or(0, |(key, _)| key.span().start))?;
        let state = state.iter().map(|(key, value)| self.state(key, value, &scope)).collect::<Result<_, _>>()?;
        let (scalars, kept) = (section("scalars")?, section("kept")?);
        self.few(&scalars, MOST, "scalars", 0)?;
        self.few(&kept, MOST_KEPT, "numbers that the device keeps", 0)?;
        scope.scalars = self.fields(&scalars, &scope)?;
        scope.kept = self.fields(&kept, &scope)?;
        let scalars = self.scalars(&scalars, &scope)?;
        let products: usize = scalars.iter().map(|scalar| scalar.expression.products()).sum();
        if products > MOST_PRODUCTS {
            return self.fault(0, format!("a rule has at most {MOST_PRODUCTS} products, this one has {products}"));
        }
        let kept = kept.iter().map(|(key, value)| self.kept(key, value, &scope)).collect::<Result<_, _>>()?;
        let measure = get("measure").map(|value| self.measure(value)).transpose()?;
        let clip_norm = get("clip_norm").map(|value| self.clip_norm(value, &settings)).transpose()?;
        Ok(Header { source, settings, requirements, constants, state, scalars, kept, measure, clip_norm })
    }

    fn requirements(
        &self,
        value: &Spanned<DeValue<'_>>,
        scope: &Scope<'_>,
    ) -> Result<Vec<(Expression, String)>, Fault> {
        let DeValue::Array(list) = value.get_ref() else {
            return self.fault(value.span().start, "[[require]] has double brackets: there may be several");
        };
        self.few(list, MOST, "requirements", value.span().start)?;
        let mut requirements = Vec::new();
        for value in list.iter() {
            let table = self.table(value, "[[require]]")?;
            let (mut that, mut otherwise) = (None, None);
            for (key, value) in table {
                match &**key.get_ref() {
                    "that" => that = Some(self.expression_in(value, "that", scope, Context::Settings)?),
                    "otherwise" => otherwise = Some(self.string(value, "otherwise")?.to_owned()),
                    _ => return self.unknown(key, "[[require]]", &["that", "otherwise"]),
                }
            }
            match (that, otherwise) {
                (Some(that), Some(otherwise)) => requirements.push((that, otherwise)),
                _ => {
                    return self
                        .fault(value.span().start, "[[require]] has `that`, a condition, and `otherwise`, a text");
                }
            }
        }
        Ok(requirements)
    }

    fn state(
        &self,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        scope: &Scope<'_>,
    ) -> Result<State, Fault> {
        let name = self.name(key, false)?;
        if ELEMENT.contains(&name.as_str()) {
            return self.fault(key.span().start, format!("an element has a field `{name}` already"));
        }
        let mut state = State { name, condition: None, start: Start::Zero };
        for (key, value) in self.table(value, "a word of state")? {
            match &**key.get_ref() {
                "if" => state.condition = Some(self.expression_in(value, "if", scope, Context::Settings)?),
                "start" => {
                    state.start = match self.string(value, "start")? {
                        "zero" => Start::Zero,
                        "params" => Start::Params,
                        other => {
                            let fault = Fault::new(self.place(value.span().start), format!("start = \"{other}\""));
                            return Err(
                                fault.hint("state starts at \"zero\", or as a copy of the parameters, \"params\"")
                            );
                        }
                    }
                }
                _ => return self.unknown(key, "a word of state", &["if", "start"]),
            }
        }
        Ok(state)
    }

    /// Reads the names of a section whose entries become fields of `at`.
    fn fields(&self, table: &Table<'_>, scope: &Scope<'_>) -> Result<Vec<String>, Fault> {
        let mut names = Vec::new();
        for (key, _) in table {
            let name = self.name(key, false)?;
            if scope.is_known(&name, Context::Kept) || scope.settings.iter().any(|s| s.key == name) {
                return self.fault(key.span().start, format!("there is a `{name}` already"));
            }
            names.push(name);
        }
        Ok(names)
    }

    fn scalars(&self, table: &Table<'_>, scope: &Scope<'_>) -> Result<Vec<Scalar>, Fault> {
        let mut waiting: Vec<(Scalar, &Spanned<DeValue<'_>>)> = Vec::new();
        for ((key, value), name) in table.iter().zip(&scope.scalars) {
            let expression = self.expression_in(value, "a scalar", scope, Context::Scalar)?;
            let place = self.place(key.span().start);
            waiting.push((Scalar { name: name.clone(), expression, of_t: false, place }, value));
        }
        // The scalars are sorted so that each comes after those that it reads: every turn takes the first that reads
        // only sorted ones.
        let mut sorted: Vec<Scalar> = Vec::new();
        while !waiting.is_empty() {
            let ready = |(scalar, _): &(Scalar, _)| {
                let mut others = scalar.expression.names().filter(|(name, _)| scope.scalars.iter().any(|s| s == name));
                others.all(|(name, _)| sorted.iter().any(|s| s.name == name))
            };
            let Some(next) = waiting.iter().position(ready) else {
                let (scalar, value) = &waiting[0];
                return self.fault(value.span().start, format!("`{}` is computed from itself", scalar.name));
            };
            let (mut scalar, value) = waiting.remove(next);
            let changes = |name: &str| name == "t" || sorted.iter().any(|s| s.name == name && s.of_t);
            if let Some((name, at)) = scalar.expression.factor_names().find(|(name, _)| changes(name)) {
                let message = format!("`{name}` changes with t, which a factor of a product must not");
                return self.fault(self.within(value, at), message);
            }
            scalar.of_t = scalar.expression.names().any(|(name, _)| changes(name));
            sorted.push(scalar);
        }
        Ok(sorted)
    }

    fn kept(
        &self,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        scope: &Scope<'_>,
    ) -> Result<Kept, Fault> {
        let (mut next, mut condition) = (None, None);
        let mut read = |value: &Spanned<DeValue<'_>>| -> Result<(), Fault> {
            let expression = self.expression_in(value, "the next value", scope, Context::Kept)?;
            if let Err(why) = expression.wgsl(&|_| "1.0".into(), &mut Lines::default()) {
                return self.fault(value.span().start, why);
            }
            next = Some(expression);
            Ok(())
        };
        match value.get_ref() {
            DeValue::String(_) => read(value)?,
            _ => {
                for (key, value) in self.table(value, "a number that the device keeps")? {
                    match &**key.get_ref() {
                        "next" => read(value)?,
                        "if" => condition = Some(self.expression_in(value, "if", scope, Context::Settings)?),
                        _ => return self.unknown(key, "a number that the device keeps", &["next", "if"]),
                    }
                }
            }
        }
        let name = key.get_ref().to_string();
        match next {
            Some(next) => Ok(Kept { name, condition, next }),
            None => self.fault(key.span().start, format!("`{name}` has no next value")),
        }
    }

    fn clip_norm(&self, value: &Spanned<DeValue<'_>>, settings: &[Setting]) -> Result<String, Fault> {
        let name = self.string(value, "clip_norm")?;
        let numbers = settings.iter().filter(|s| matches!(s.kind, Kind::Number { .. }) && s.key != "lr");
        let numbers: Vec<&str> = numbers.map(|s| s.key.as_str()).collect();
        if numbers.contains(&name) {
            return Ok(name.to_owned());
        }
        let message = format!("`{name}` is no number among the settings, which clip_norm names");
        Err(Fault::new(self.place(value.span().start), message).hint(suggest::hint(name, &numbers)))
    }

    fn measure(&self, value: &Spanned<DeValue<'_>>) -> Result<Over, Fault> {
        let mut over = None;
        for (key, value) in self.table(value, "[measure]")? {
            match (&**key.get_ref(), value.get_ref()) {
                ("over", DeValue::String(text)) if text == "tensor" => over = Some(Over::Tensor),
                ("over", DeValue::String(text)) if text == "all" => over = Some(Over::All),
                ("over", _) => return self.fault(value.span().start, "over is \"tensor\" or \"all\""),
                _ => return self.unknown(key, "[measure]", &["over"]),
            }
        }
        let missing = "[measure] says what its sums run over: over = \"tensor\" or over = \"all\"";
        over.map_or_else(|| self.fault(value.span().start, missing), Ok)
    }
}
