//! Rules that know of an element no more than its own gradient and state: the norm and guard, and one dispatch.

use super::{Optimizer, Settings, Start, arena, decays, norm_and_guard, report, state};
use crate::program::{BufferKind, Slot, Tape, shader::Const};

type Row = Box<dyn Fn(u64) -> [f64; 4] + Send + Sync>;

/// An element-wise rule, put together from the names in its kernel. The kernel's arguments are report, decays,
/// gradients, parameters and the words of state, in this order; a workgroup takes a chunk of 256 vec4.
pub(super) struct ElementWise {
    kernel: &'static str,
    settings: Settings,
    constants: Vec<(&'static str, Const)>,
    sizes: Vec<(&'static str, f32)>,
    words: Vec<Option<&'static str>>,
    number: Option<Number>,
    clip_norm: Option<&'static str>,
    row: Row,
}

/// A number that a call before the rule keeps; without a name, sixteen bytes in its place.
struct Number {
    name: Option<&'static str>,
    keep: fn(&mut Tape, &Settings, Slot),
}

impl ElementWise {
    /// The rule of `kernel`; the settings have an `lr`.
    pub fn new(kernel: &'static str, settings: &Settings) -> Self {
        Self {
            kernel,
            settings: settings.clone(),
            constants: vec![],
            sizes: vec![],
            words: vec![],
            number: None,
            clip_norm: None,
            row: Box::new(|_| [0.0; 4]),
        }
    }

    /// A constant of the kernel.
    pub fn constant(mut self, name: &'static str, value: bool) -> Self {
        self.constants.push((name, value.into()));
        self
    }

    /// Settings that are fields of `Sizes` under their own names.
    pub fn sizes(mut self, keys: &[&'static str]) -> Self {
        self.sizes.extend(keys.iter().map(|&key| (key, self.settings.number(key) as f32)));
        self
    }

    /// A field of `Sizes`.
    pub fn size(mut self, name: &'static str, value: f64) -> Self {
        self.sizes.push((name, value as f32));
        self
    }

    /// The field `one_minus_<key>`; rounded once, here.
    pub fn one_minus(self, name: &'static str) -> Self {
        let key = name.strip_prefix("one_minus_").expect("the field is named after the setting");
        let value = 1.0 - self.settings.number(key);
        self.size(name, value)
    }

    /// Words of state that start at zero.
    pub fn words(mut self, names: &[&'static str]) -> Self {
        self.words.extend(names.iter().map(|&name| Some(name)));
        self
    }

    /// A word that only a variant of the rule has. The kernel's list of bindings is the same without it: sixteen bytes
    /// that nothing touches stand in.
    pub fn word_if(mut self, name: &'static str, used: bool) -> Self {
        self.words.push(used.then_some(name));
        self
    }

    /// One more argument: a number per network that `keep` updates, a call between the guard and the rule. Nothing touches
    /// it in a variant without.
    pub fn number_if(mut self, name: &'static str, used: bool, keep: fn(&mut Tape, &Settings, Slot)) -> Self {
        self.number = Some(Number { name: used.then_some(name), keep });
        self
    }

    /// The setting that bounds the gradient's norm before the rule sees it; 0 for no bound.
    pub fn clip_norm(mut self, key: &'static str) -> Self {
        self.clip_norm = Some(key);
        self
    }

    /// What the kernel reads of update t.
    pub fn row(mut self, row: impl Fn(u64) -> [f64; 4] + Send + Sync + 'static) -> Self {
        self.row = Box::new(row);
        self
    }
}

impl Optimizer for ElementWise {
    fn state(&self) -> Vec<(&'static str, Start)> {
        let number = self.number.as_ref().and_then(|number| number.name);
        self.words.iter().copied().flatten().chain(number).map(|name| (name, Start::Zero)).collect()
    }

    fn words(&self) -> usize {
        self.words.iter().flatten().count()
    }

    fn record(&self, t: &mut Tape) {
        norm_and_guard(t);
        let number = self.number.as_ref().map(|number| match number.name {
            Some(name) => {
                let slot = t.buffer(BufferKind::state(name), 4);
                (number.keep)(t, &self.settings, slot);
                slot
            }
            None => t.scratch(4).into(),
        });
        let len4 = t.layout().param_floats() / 4;
        let (report, decays, grads, params) =
            (report(t), decays(t), arena(t, BufferKind::Grads), arena(t, BufferKind::Params));
        let mut word = |word: &Option<&'static str>| match word {
            Some(name) => state(t, name),
            None => t.scratch(4).into(),
        };
        let words: Vec<Slot> = self.words.iter().map(&mut word).collect();
        let mut call = t.call(self.kernel).size("len4", len4);
        for &(name, value) in &self.constants {
            call = call.constant(name, value);
        }
        for &(name, value) in &self.sizes {
            call = call.size(name, value);
        }
        call = call.read(report).read(decays).read(grads).write(params);
        call = words.into_iter().fold(call, |call, word| call.write(word));
        call = number.into_iter().fold(call, |call, number| call.read(number));
        call.groups(len4.div_ceil(256));
    }

    fn scalars(&self, t: u64) -> [f64; 4] {
        (self.row)(t)
    }

    fn clip_norm(&self) -> Option<f64> {
        self.clip_norm.map(|key| self.settings.number(key)).filter(|limit| *limit > 0.0)
    }

    fn lr(&self) -> f64 {
        self.settings.number("lr")
    }
}
