//! What an experiment runs: each variant with each seed, in an order in which every run has a number and a folder.

use std::path::PathBuf;

use crate::{
    error::{Error, Result},
    optim::RuleChoice,
};

/// An optimizer with its settings, under a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Its name in tables and figures.
    pub label: String,
    /// The update rule.
    pub optimizer: RuleChoice,
    /// The rule's settings, as given.
    pub set: Vec<(String, String)>,
}

/// The runs of an experiment.
#[derive(Clone, Debug)]
pub struct Design {
    /// The optimizers.
    pub variants: Vec<Variant>,
    /// The number of seeds, which are 0, 1, ...
    pub seeds: u64,
    /// The folder for everything that is written.
    pub folder: PathBuf,
}

/// A run of a [`Design`].
#[derive(Clone, Debug)]
pub struct Planned<'a> {
    /// Its number, from 1.
    pub number: usize,
    /// Its optimizer.
    pub variant: &'a Variant,
    /// Seed of the initial weights, the order, augmentation and dropout.
    pub seed: u64,
    /// Its folder below that of the experiment, as `runs/adam/seed-0`.
    pub name: String,
    /// The path of its folder.
    pub folder: PathBuf,
}

impl Design {
    /// The number of runs.
    pub fn count(&self) -> usize {
        self.variants.len().saturating_mul(usize::try_from(self.seeds).unwrap_or(usize::MAX))
    }

    /// The runs in the order of their numbers: seed by seed, so that another seed leaves the numbers as they are.
    pub fn runs(&self) -> impl Iterator<Item = Planned<'_>> {
        let pairs = (0..self.seeds).flat_map(|seed| self.variants.iter().map(move |variant| (variant, seed)));
        pairs.enumerate().map(|(index, (variant, seed))| {
            let name = format!("runs/{}/seed-{seed}", slug(&variant.label));
            Planned { number: index + 1, variant, seed, folder: self.folder.join(&name), name }
        })
    }

    /// The run of this number.
    ///
    /// # Errors
    /// [`Error::Config`] if there is none.
    pub fn numbered(&self, number: usize) -> Result<Planned<'_>> {
        let count = self.count();
        let run = number.checked_sub(1).and_then(|index| self.runs().nth(index));
        run.ok_or_else(|| Error::setting("run", number, format!("from 1 to {count}, a run of this experiment")))
    }
}

/// A label in a form that suits a folder's name.
fn slug(label: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || "._=-".contains(c) { c } else { '_' };
    label.chars().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_seed_leaves_the_numbers_as_they_are() {
        let variant = |label: &str| Variant { label: label.into(), optimizer: "sgd".into(), set: vec![] };
        let design = |seeds| Design { variants: vec![variant("a"), variant("b, c")], seeds, folder: "out".into() };
        let (two, three) = (design(2), design(3));
        let names = |design: &Design| design.runs().map(|run| (run.number, run.name)).collect::<Vec<_>>();
        assert_eq!(names(&two), names(&three)[..4]);
        let last = three.numbered(6).unwrap();
        assert_eq!((last.seed, last.folder), (2, PathBuf::from("out/runs/b__c/seed-2")));
        for (wrong, said) in [(0, "'run' is 0"), (7, "from 1 to 6")] {
            assert!(three.numbered(wrong).unwrap_err().to_string().contains(said));
        }
    }
}
