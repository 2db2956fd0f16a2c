//! Judges the results of a case.

use std::{collections::HashMap, ops::Range};

use super::{
    Expected, Row,
    port::{Wire, Word},
};

use crate::program::BufferKind;

/// A case that has run.
pub struct Outcome {
    /// Each port with its buffer and its first word there.
    pub(super) wires: Vec<(Wire, Key, usize)>,
    pub(super) memory: HashMap<Key, Memory>,
}

/// Identifies a buffer.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Pool(usize),
    Persistent(BufferKind),
}

pub(super) struct Memory {
    /// The words that some call may write.
    pub written: Vec<Range<usize>>,
    pub before: Vec<u32>,
    pub after: Vec<u32>,
}

impl Outcome {
    /// The values of a port, in PyTorch's order.
    ///
    /// # Panics
    /// If the case has no such port.
    pub fn values(&self, port: &str) -> Vec<f64> {
        let (wire, words) = self.wire(port);
        wire.places.iter().map(|&place| wire.word.get(words, place)).collect()
    }

    /// Replaces one element of a port, for the test that wrong results are noticed.
    ///
    /// # Panics
    /// If the case has no such port or element.
    pub fn disturb(&mut self, port: &str, element: usize, value: f64) {
        let (wire, key, first) = self.find(port);
        let (word, place) = (wire.word, wire.places[element]);
        word.set(&mut self.memory.get_mut(&key).expect("every port has memory").after[first..], place, value);
    }

    /// Flips a bit of the last guard word of a port's buffer, for the same test.
    ///
    /// # Panics
    /// If the case has no such port.
    pub fn disturb_guard(&mut self, port: &str) {
        let (_, key, _) = self.find(port);
        *self.memory.get_mut(&key).expect("every port has memory").after.last_mut().expect("a buffer has words") ^= 1;
    }

    /// A row for each kernel that wrote something expected, and one for the words that must not have changed.
    pub fn rows(&self, case: &str, expected: &[Expected]) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for expected in expected {
            let row = self.judge(case, expected);
            match rows.iter_mut().find(|other| (&other.kernel, &other.form) == (&row.kernel, &row.form)) {
                // A NaN counts as infinitely wrong, so that `worst` can be compared.
                Some(other) if row.worst > other.worst => *other = row,
                Some(_) => {}
                None => rows.push(row),
            }
        }
        let strays = self.strays();
        let (kernel, form, case) = ("guard words".into(), String::new(), case.into());
        rows.push(Row { kernel, form, case, worst: strays as f64, bound: 0.0, passed: strays == 0 });
        rows
    }

    fn judge(&self, case: &str, expected: &Expected) -> Row {
        let (wire, words) = self.wire(expected.port);
        let writer = wire.writer.as_deref().unwrap_or_else(|| panic!("selftest: nothing writes `{}`", expected.port));
        let (kernel, form) = writer.split_once(' ').unwrap_or((writer, ""));
        let found = self.values(expected.port);
        assert_eq!(found.len(), expected.value.len(), "selftest: `{}` has another size", expected.port);
        let mut errors: Vec<(f64, f64)> = Vec::with_capacity(found.len());
        for ((found, value), &bound) in found.iter().zip(&expected.value).zip(&expected.bound) {
            let error = if found == value { 0.0 } else { (found - value).abs() }; // both may be infinite
            errors.push((ratio(error, bound), bound));
        }
        errors.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut worst, bound) = errors[(expected.exempt * errors.len() as f64) as usize];
        if wire.word != Word::U32 && !padding_is_zero(wire, words) {
            worst = f64::INFINITY;
        }
        let (kernel, form, case) = (kernel.into(), form.into(), format!("{case}: {}", expected.port));
        Row { kernel, form, case, worst, bound, passed: worst <= 1.0 }
    }

    /// The number of words outside of what the calls may write that have changed.
    fn strays(&self) -> usize {
        let stray = |memory: &Memory| {
            let changed = |&i: &usize| memory.before[i] != memory.after[i];
            let guarded = |&i: &usize| memory.written.iter().all(|range| !range.contains(&i));
            (0..memory.before.len()).filter(changed).filter(guarded).count()
        };
        self.memory.values().map(stray).sum()
    }

    fn find(&self, port: &str) -> (&Wire, Key, usize) {
        let found = self.wires.iter().find(|(wire, ..)| wire.port.name == port);
        let (wire, key, first) = found.unwrap_or_else(|| panic!("selftest: no port is called `{port}`"));
        (wire, key.clone(), *first)
    }

    /// A port and its words as stored.
    fn wire(&self, port: &str) -> (&Wire, &[u32]) {
        let (wire, key, first) = self.find(port);
        (wire, &self.memory[&key].after[first..first + wire.words])
    }
}

/// The error divided by its bound: 0 for no error, infinite for a NaN or for an error where none is allowed.
fn ratio(error: f64, bound: f64) -> f64 {
    if error == 0.0 {
        0.0
    } else if error.is_finite() {
        error / bound
    } else {
        f64::INFINITY
    }
}

/// Channels that pad a tensor to a multiple of four must stay zero, since later kernels sum over them.
fn padding_is_zero(wire: &Wire, words: &[u32]) -> bool {
    let mut rest = words.to_vec();
    wire.places.iter().for_each(|&place| wire.word.set(&mut rest, place, 0.0));
    (0..rest.len() * wire.word.per_word()).all(|place| wire.word.get(&rest, place) == 0.0)
}
