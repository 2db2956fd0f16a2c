//! The programs of a network, by purpose.

use std::collections::{BTreeMap, BTreeSet};

use crate::program::{
    Recording,
    product::{Choice, Product},
    target::Target,
};

/// Every program of a network, as a recording (`Programs<Recording>`) or as an index into a runtime's list
/// (`Programs<usize>`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Programs<T> {
    /// Forward, loss and backward pass of a training batch, by the number of its samples.
    pub train: BTreeMap<u32, T>,
    /// Forward pass and loss of a batch of an evaluation, by the number of its samples.
    pub evaluate: BTreeMap<u32, T>,
    /// The update; a network that is only evaluated has none.
    pub update: Option<T>,
    /// Moves the parameters to the optimizer's point of evaluation; `None` if that is where they are.
    pub to_evaluation: Option<T>,
    /// Adds a share of the gradient to the sum of those before it, where several ranks train.
    pub add: Option<T>,
    /// Moves the running statistics by those of a batch, where several ranks train a network that has some.
    pub running: Option<T>,
}

impl<T> Programs<T> {
    /// All programs: those of training and then of evaluation, the largest batch first; the update; the way to the
    /// point of evaluation.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.train
            .values()
            .rev()
            .chain(self.evaluate.values().rev())
            .chain(&self.update)
            .chain(&self.to_evaluation)
            .chain(&self.add)
            .chain(&self.running)
    }

    /// The programs as a list in the order of [`Programs::iter`], and the index of each in it.
    pub fn numbered(self) -> (Vec<T>, Programs<usize>) {
        let mut list = Vec::new();
        let mut number = |program: T| {
            list.push(program);
            list.len() - 1
        };
        let mut all =
            |programs: BTreeMap<u32, T>| programs.into_iter().rev().map(|(n, program)| (n, number(program))).collect();
        let (train, evaluate) = (all(self.train), all(self.evaluate));
        let (update, to_evaluation) = (self.update.map(&mut number), self.to_evaluation.map(&mut number));
        let (add, running) = (self.add.map(&mut number), self.running.map(&mut number));
        (list, Programs { train, evaluate, update, to_evaluation, add, running })
    }
}

impl Programs<Recording> {
    /// The matrix products of all batch sizes, and how each is computed on the target.
    pub fn products(&self, target: &Target) -> Vec<(Product, Choice)> {
        let calls = self.train.values().chain(self.evaluate.values()).flat_map(|program| &program.calls);
        let products: BTreeMap<_, _> = calls.filter_map(|call| call.product.as_ref()).map(|p| (&p.name, p)).collect();
        products.into_values().map(|product| (product.clone(), target.choose(product))).collect()
    }

    /// The kernels that the programs consist of, by their paths.
    pub fn kernels(&self) -> BTreeSet<&str> {
        self.iter().flat_map(|program| &program.calls).map(|call| &*call.spec.path).collect()
    }
}
