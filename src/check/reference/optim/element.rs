//! Applies rules that read single elements, and sums over tensors. Each rule is a function in `rules`.

use std::cell::Cell;

use super::{Optimizer, finite};

/// The quantities of an update that are the same for every element.
pub struct Update<'a> {
    settings: &'a [(String, String)],
    /// The number of the update, from 1.
    pub t: f64,
    /// The learning rate of this update.
    pub lr: f64,
    /// The learning rate of the first update.
    pub first_lr: f64,
    /// The norm of the gradient over all tensors.
    pub norm: f64,
    /// A number that the rule keeps from one update to the next; 0 at first.
    pub kept: Cell<f64>,
}

impl Update<'_> {
    fn text(&self, key: &str) -> &str {
        &self.settings.iter().find(|(k, _)| k == key).unwrap_or_else(|| panic!("the table has no `{key}`")).1
    }

    /// A setting that is a number.
    pub fn number(&self, key: &str) -> f64 {
        self.text(key).parse().expect("it was checked when it was set")
    }

    /// Several settings that are numbers.
    pub fn numbers<const N: usize>(&self, keys: [&str; N]) -> [f64; N] {
        keys.map(|key| self.number(key))
    }

    /// A setting that is a switch.
    pub fn flag(&self, key: &str) -> bool {
        self.text(key) == "true"
    }

    /// Whether a setting that is a choice has this word.
    pub fn is(&self, key: &str, word: &str) -> bool {
        self.text(key) == word
    }

    /// `1 - beta^t`, the bias correction of a moving average that began at zero.
    pub fn correction(&self, beta: f64) -> f64 {
        1.0 - beta.powf(self.t)
    }
}

/// An element: a parameter, with all that a rule knows about it.
pub struct Element<'a> {
    /// The parameter.
    pub theta: &'a mut f64,
    /// Its gradient.
    pub g: f64,
    /// The rule's state for this element; zeros at first.
    pub state: &'a mut [f64; 4],
    /// The rule's measurements, summed over the element's tensor or over all tensors.
    pub sums: [f64; 2],
    /// Set if rounding in f32 may decide a branch otherwise.
    pub undecided: &'a mut bool,
}

/// What a rule does to an element in one update.
pub type Step = Box<dyn Fn(&mut Element<'_>)>;

/// What a rule measures of an element, from the parameter, gradient and state before the update.
pub type Measure = Box<dyn Fn(f64, f64, &[f64; 4]) -> [f64; 2]>;

/// Creates the measurement for an update.
pub type Measured = fn(&Update<'_>) -> Measure;

/// A rule: its formula, what it measures, and its settings with their defaults. A choice lists its words, the default
/// first.
pub struct Row {
    pub name: &'static str,
    /// The formula.
    pub step: fn(&Update<'_>) -> Step,
    /// What the rule measures, and whether the sums run over all tensors rather than each.
    pub measure: Option<(Measured, bool)>,
    /// The settings as `KEY=VALUE`, separated by spaces.
    pub settings: &'static str,
}

/// A rule of the table with its settings and its state, applied to tensors.
pub struct ElementWise {
    row: &'static Row,
    settings: Vec<(String, String)>,
    state: Vec<Vec<[f64; 4]>>,
    undecided: Vec<Vec<bool>>,
    updates: u64,
    first_lr: f64,
    kept: f64,
}

impl ElementWise {
    /// The rule with its defaults.
    pub fn new(row: &'static Row) -> Self {
        let default = |text: &str| {
            let (key, value) = text.split_once('=').expect("KEY=VALUE");
            (key.to_owned(), value.split('|').next().expect("split yields one").to_owned())
        };
        let settings = row.settings.split_whitespace().map(default).collect();
        Self { row, settings, state: vec![], undecided: vec![], updates: 0, first_lr: 0.0, kept: 0.0 }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.settings.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }
}

impl Optimizer for ElementWise {
    fn step(&mut self, params: &mut [Vec<f64>], grads: &[Vec<f64>], loss: f64) {
        if !finite(params, grads, loss) {
            return;
        }
        let lr = self.get("lr").and_then(|lr| lr.parse().ok()).expect("every rule has a rate");
        if self.updates == 0 {
            self.state = params.iter().map(|tensor| vec![[0.0; 4]; tensor.len()]).collect();
            self.undecided = params.iter().map(|tensor| vec![false; tensor.len()]).collect();
            self.first_lr = lr;
        }
        self.updates += 1;
        let norm = grads.iter().flatten().map(|g| g * g).sum::<f64>().sqrt();
        let (t, first_lr, kept) = (self.updates as f64, self.first_lr, Cell::new(self.kept));
        let update = Update { settings: &self.settings, t, lr, first_lr, norm, kept };
        let sums = match self.row.measure {
            None => vec![[0.0; 2]; params.len()],
            Some((measure, over_all)) => {
                let measure = measure(&update);
                let of_tensor = |i: usize| {
                    let elements = params[i].iter().zip(&grads[i]).zip(&self.state[i]);
                    let each = elements.map(|((theta, g), state)| measure(*theta, *g, state));
                    each.fold([0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]])
                };
                let sums: Vec<_> = (0..params.len()).map(of_tensor).collect();
                let all = sums.iter().fold([0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
                if over_all { vec![all; params.len()] } else { sums }
            }
        };
        let step = (self.row.step)(&update);
        self.kept = update.kept.get();
        for (i, tensor) in params.iter_mut().enumerate() {
            for (j, theta) in tensor.iter_mut().enumerate() {
                let (state, undecided) = (&mut self.state[i][j], &mut self.undecided[i][j]);
                step(&mut Element { theta, g: grads[i][j], state, sums: sums[i], undecided });
            }
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        let stated = self.row.settings.split_whitespace().find_map(|s| s.strip_prefix(key)?.strip_prefix('='))?;
        let fits = match stated {
            "true" | "false" => value == "true" || value == "false",
            _ if stated.parse::<f64>().is_ok() => value.parse::<f64>().is_ok(),
            words => words.split('|').any(|word| word == value),
        };
        let (_, known) = self.settings.iter_mut().find(|(k, _)| k == key)?;
        fits.then(|| value.clone_into(known))
    }

    /// Nesterov's momentum needs momentum and must not have dampening.
    fn valid(&self) -> bool {
        let zero = |key: &str| self.get(key).and_then(|v| v.parse().ok()) == Some(0.0);
        self.get("nesterov") != Some("true")
            || self.get("dampening").is_none()
            || (!zero("momentum") && zero("dampening"))
    }

    fn undecided(&self, tensor: usize, element: usize) -> bool {
        self.undecided[tensor][element]
    }
}
