//! Computes the constants, the numbers per update and the kernels of a rule's file under given settings.

mod kernels;

use std::sync::Arc;

use super::{
    Fault, RuleFile,
    expression::{Expression, Products},
    header::{self, INITIAL_LR, Kept, Over},
    kernel,
};
use crate::{
    error::{Error, Result},
    optim::{Kind, Setting, Settings, Start, Value},
    program::shader::Spec,
};

/// A rule's file under given settings.
#[derive(Debug)]
pub struct Variant {
    file: Arc<RuleFile>,
    settings: Settings,
    constants: Vec<(String, bool)>,
    /// Whether each state buffer of the header exists.
    state: Vec<bool>,
    /// Whether the device keeps each of the header's numbers.
    kept: Vec<bool>,
    /// Whether a kernel reads each scalar of the header.
    read: Vec<bool>,
    /// The fields of `Sizes` that hold settings and scalars.
    sizes: Vec<(String, f32)>,
    /// The kernel of the update.
    pub update: Spec,
    /// The kernel that sums what `measure` returns, if the rule has this function.
    pub measure: Option<Spec>,
    /// The kernel of the numbers that the device keeps, if it keeps any.
    pub keep: Option<Spec>,
}

impl Variant {
    /// The rule under these settings. Its kernels are linked and checked if the text came from outside the program.
    ///
    /// # Errors
    /// [`Error::Config`] if the settings do not fit together, a scalar is not finite under them, the rule needs more
    /// than devices have, or its WGSL is not valid.
    pub fn new(file: &Arc<RuleFile>, name: &str, settings: Settings) -> Result<Self> {
        let header = &file.header;
        let constants = constants(file, &settings);
        for (that, otherwise) in &header.requirements {
            if !file.decided(that, &settings, &constants) {
                return Err(Error::config(format!("{name}: {otherwise}"), ""));
            }
        }
        let holds = |condition: &Option<Expression>| {
            condition.as_ref().is_none_or(|condition| file.decided(condition, &settings, &constants))
        };
        let state = header.state.iter().map(|state| holds(&state.condition)).collect();
        let kept: Vec<bool> = header.kept.iter().map(|kept| holds(&kept.condition)).collect();
        let spec = Spec::new(file.kernel.clone());
        let (file, update) = (file.clone(), spec.clone());
        let mut variant = Self {
            file,
            settings,
            constants,
            state,
            kept,
            read: vec![],
            sizes: vec![],
            update,
            measure: None,
            keep: None,
        };
        variant.numbers()?;
        variant.write()?;
        Ok(variant)
    }

    /// Computes the numbers that do not change, and refuses scalars that are not finite.
    fn numbers(&mut self) -> Result<()> {
        let header = &self.file.header;
        self.read = header.scalars.iter().map(|scalar| self.reads_scalar(&scalar.name)).collect();
        let rows = header.scalars.iter().zip(&self.read).filter(|(scalar, read)| scalar.of_t && **read);
        if let Some((scalar, _)) = rows.clone().nth(4) {
            let message = "the rule reads five scalars that change with t; at most four are possible";
            let fault = Fault::new(scalar.place, message).hint("a scalar that other scalars alone read is not counted");
            return Err(self.file.fault(&fault));
        }
        let mut products = self.products();
        // Both early and late updates are tried. A bias correction that divides by zero does so in an early one.
        for t in [1, 2, 3, 10, 100, 1000, 100_000] {
            for ((scalar, value), read) in header.scalars.iter().zip(self.scalars(t, &mut products)).zip(&self.read) {
                if *read && !(value as f32).is_finite() {
                    let message = format!("with these settings `{}` is {value} in update {t}", scalar.name);
                    return Err(self.file.fault(&Fault::new(scalar.place, message)));
                }
            }
        }
        let settings = header.settings.iter().filter(|setting| self.reads_setting(setting));
        let settings = settings.map(|s| (kernel::setting_field(&s.key), number(&self.settings, &s.key) as f32));
        let fixed = header.scalars.iter().zip(self.scalars(1, &mut products)).zip(&self.read);
        let fixed = fixed.filter(|((scalar, _), read)| !scalar.of_t && **read);
        let fixed = fixed.map(|((scalar, value), _)| (kernel::scalar_field(&scalar.name), value as f32));
        self.sizes = settings.chain(fixed).collect();
        if self.sizes.len() > MOST_SIZES {
            let message = format!("the rule reads {} settings and scalars that do not change", self.sizes.len());
            let fault = Fault::new((1, 1), message).hint(format!("at most {MOST_SIZES} are possible"));
            return Err(self.file.fault(&fault));
        }
        Ok(())
    }

    /// Whether a kernel reads the scalar of this name.
    fn reads_scalar(&self, name: &str) -> bool {
        self.file.uses.update.iter().any(|used| used == name) || self.keeping_reads(name)
    }

    /// Whether a kernel reads this setting as a number.
    fn reads_setting(&self, setting: &Setting) -> bool {
        let key = &setting.key;
        let keeping = key != "lr" && is_number(setting) && self.keeping_reads(key);
        keeping || self.file.uses.settings.contains(key)
    }

    /// Whether a number that the device keeps is computed from this name.
    fn keeping_reads(&self, name: &str) -> bool {
        self.kept().any(|kept| kept.next.names().any(|(used, _)| used == name))
    }

    /// The products of each scalar as they are before the first update: none is known.
    pub fn products(&self) -> Vec<Products> {
        self.file.header.scalars.iter().map(|_| Products::default()).collect()
    }

    /// The values of all scalars of the header in update `t`.
    fn scalars(&self, t: u64, products: &mut [Products]) -> Vec<f64> {
        let scalars = &self.file.header.scalars;
        let mut values: Vec<f64> = Vec::with_capacity(scalars.len());
        for (scalar, products) in scalars.iter().zip(products.iter_mut()) {
            let of = |name: &str| match scalars[..values.len()].iter().position(|s| s.name == name) {
                Some(index) => values[index],
                None if name == "t" => t as f64,
                None => known(&self.settings, &self.constants, name),
            };
            // A resumed run multiplies from the first factor on, once, so about `t` factors must be allowed.
            products.most = t.saturating_mul(2).saturating_add(1 << 16).min(MOST_FACTORS);
            let value = scalar.expression.value(&of, products);
            values.push(value);
        }
        values
    }

    /// Indices of the scalars that change with the update and that a kernel reads.
    fn rows(&self) -> impl Iterator<Item = usize> {
        let scalars = self.file.header.scalars.iter().zip(&self.read).enumerate();
        scalars.filter(|(_, (scalar, read))| scalar.of_t && **read).map(|(index, _)| index)
    }

    /// The row that the kernels read in update `t`, in f64. `products` are those of the updates before it; the first
    /// ones are from [`Variant::products`].
    pub fn row(&self, t: u64, products: &mut [Products]) -> [f64; 4] {
        let (values, mut row) = (self.scalars(t, products), [0.0; 4]);
        row.iter_mut().zip(self.rows()).for_each(|(number, index)| *number = values[index]);
        row
    }

    /// The learning rate of the settings.
    pub fn lr(&self) -> f64 {
        self.settings.number("lr")
    }

    /// Whether these are the settings of the variant.
    pub fn is_under(&self, settings: &Settings) -> bool {
        self.settings == *settings
    }

    /// The rule's file, as errors name it.
    pub fn file(&self) -> &str {
        &self.file.file
    }

    /// What the sums of `measure` run over.
    pub fn over(&self) -> Option<Over> {
        self.file.header.measure
    }

    /// The norm to which the rule itself clips the gradient, if it does.
    pub fn clip_norm(&self) -> Option<f64> {
        let limit = self.file.header.clip_norm.as_ref().map(|key| self.settings.number(key));
        limit.filter(|limit| *limit > 0.0)
    }

    /// The name and the initial values of each state buffer.
    pub fn state(&self) -> impl Iterator<Item = (&str, Start)> {
        let all = self.file.header.state.iter().zip(&self.state);
        all.filter(|(_, there)| **there).map(|(state, _)| (state.name.as_str(), state.start))
    }

    /// The numbers that the device keeps.
    fn kept(&self) -> impl Iterator<Item = &Kept> {
        self.file.header.kept.iter().zip(&self.kept).filter(|(_, there)| **there).map(|(kept, _)| kept)
    }

    /// Whether `measure` reads this field of an element: `p` or a state buffer.
    pub fn measures(&self, field: &str) -> bool {
        self.file.uses.measured.iter().any(|read| read == field)
    }

    /// How many numbers the device keeps.
    pub fn kept_count(&self) -> usize {
        self.kept().count()
    }

    /// The weight decay if a kernel reads it, in which case it is a field of `Sizes`.
    pub fn weight_decay(&self) -> Option<f32> {
        self.file.uses.weight_decay.then(|| number(&self.settings, "weight_decay") as f32)
    }

    /// The fields of `Sizes` that every kernel of the rule has, with their values.
    pub fn sizes(&self) -> impl Iterator<Item = (&str, f32)> {
        self.sizes.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

impl RuleFile {
    /// Whether a condition on settings and constants holds.
    fn decided(&self, condition: &Expression, settings: &Settings, constants: &[(String, bool)]) -> bool {
        condition.value(&|name| known(settings, constants, name), &mut Products::default()) != 0.0
    }
}

/// The most settings and scalars in `Sizes`, which has 256 bytes and two more fields.
const MOST_SIZES: usize = 60;

/// The most factors of a product that one evaluation multiplies, however many updates a checkpoint claims.
const MOST_FACTORS: u64 = 1 << 25;

fn is_number(setting: &Setting) -> bool {
    matches!(setting.kind, Kind::Number { .. } | Kind::Whole { .. })
}

/// The constants of the WGSL under these settings, with their values.
fn constants(file: &RuleFile, settings: &Settings) -> Vec<(String, bool)> {
    let mut constants: Vec<(String, bool)> = Vec::new();
    for setting in &file.header.settings {
        let names = header::constants_of(setting).into_iter();
        match settings.get(&setting.key) {
            Value::Flag(value) => constants.extend(names.map(|name| (name, *value))),
            Value::Choice(word) => {
                let Kind::Choice { words } = &setting.kind else { unreachable!("a word is one of a choice") };
                constants.extend(names.zip(words).map(|(name, of)| (name, of == word)));
            }
            _ => {}
        }
    }
    for (name, expression) in &file.header.constants {
        let value = file.decided(expression, settings, &constants);
        constants.push((name.clone(), value));
    }
    constants
}

/// The value of a setting, as expressions read it.
fn number(settings: &Settings, name: &str) -> f64 {
    match settings.get(if name == INITIAL_LR { "lr" } else { name }) {
        Value::Number(v) => *v,
        Value::Whole(v) => f64::from(*v),
        Value::Flag(v) => f64::from(u8::from(*v)),
        Value::Choice(_) => f64::NAN,
    }
}

/// The value of a setting or a constant, as expressions read it.
fn known(settings: &Settings, constants: &[(String, bool)], name: &str) -> f64 {
    match constants.iter().find(|(constant, _)| constant == name) {
        Some((_, value)) => f64::from(u8::from(*value)),
        None => number(settings, name),
    }
}
