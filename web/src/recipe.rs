//! What is raced, as the page writes it.

use std::collections::BTreeMap;

use serde::Deserialize;
use velograd::{
    Options,
    data::{Dataset, Split},
    error::{Error, Result},
    models::{self, Config},
    optim::{Rule, RuleChoice},
    training::{network::Recipe as Recorded, schedule::Schedule},
};

/// What all optimizers of a race have in common.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recipe {
    pub data: String,
    pub model: String,
    pub model_set: BTreeMap<String, String>,
    pub batch: u32,
    pub seed: u64,
    /// The seed that data are drawn from, if it is another: as in `velograd compare`, all seeds of weights see the same data.
    #[serde(default)]
    pub data_seed: Option<u64>,
    /// Updates of the whole run.
    pub updates: u64,
    pub schedule: String,
    pub warmup: u64,
    pub augment: String,
}

/// One of the optimizers.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Runner {
    pub name: String,
    pub set: BTreeMap<String, String>,
    /// The rule's text, if it is not a built-in one.
    pub rule: Option<String>,
}

fn pairs(set: &BTreeMap<String, String>) -> Vec<(String, String)> {
    set.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

impl Recipe {
    /// The length of the network's blocks of tokens; `None` if it takes images.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown network or setting.
    pub fn block(&self) -> Result<Option<u32>> {
        let model = models::find(&self.model)?;
        Ok(model.block(&model.parse(&pairs(&self.model_set))?))
    }

    /// The network's shape.
    fn config(&self, dataset: &dyn Dataset) -> Result<Config> {
        let spec = dataset.spec();
        models::find(&self.model)?.config(spec.input, spec.classes.len() as u32, &pairs(&self.model_set))
    }

    /// The options of a run, which are those of `velograd train` with the recipe that the page writes.
    ///
    /// # Errors
    /// [`Error::Config`] for what is not possible.
    pub fn options(&self, runner: &Runner, dataset: &dyn Dataset) -> Result<Options> {
        let mut options = Options {
            model: self.model.clone(),
            config: self.config(dataset)?,
            optimizer: runner.choice()?,
            set: pairs(&runner.set),
            epochs: 1,
            max_steps: Some(self.updates),
            batch: self.batch,
            accumulate: 1,
            recipe: Recorded { augment: self.augment.parse()?, ..Recorded::default() },
            schedule: Schedule::parse(&self.schedule, self.warmup)?,
            seed: self.seed,
            ..Options::default()
        };
        options.shuffle = !options.carries_state();
        options.check()?;
        if dataset.len(Split::Train) < self.batch as usize {
            let most = dataset.len(Split::Train);
            return Err(Error::setting("batch_size", self.batch, format!("at most {most} with {}", self.data)));
        }
        let epochs = self.updates.div_ceil(options.updates_per_epoch(dataset).max(1));
        options.epochs = u32::try_from(epochs).map_err(|_| Error::setting("max_steps", self.updates, "fewer"))?;
        Ok(options)
    }
}

impl Runner {
    fn choice(&self) -> Result<RuleChoice> {
        let Some(text) = &self.rule else { return Ok(self.name.as_str().into()) };
        let path = format!("{}.wgsl", self.name);
        Ok(RuleChoice::Own { rule: Rule::parse(&self.name, &path, text)?.into(), path })
    }
}
