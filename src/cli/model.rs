//! The network that `bench`, `plan`, `profile` and `tune` examine; by default that of the published experiment.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    flags::{
        Flags,
        device::{DeviceFlags, TuneFlags},
        given,
        network::{BatchFlags, NetworkFlags, PrecisionFlag, PrecisionFlags},
        optimizer::{RuleFlags, of_setting},
        run::Sources,
    },
    layers::Layers,
    open_device,
    print::remark,
};
use crate::{
    device::Gpu,
    error::{Error, Result},
    host::rule_file,
    models::{Config, MOST_CLASSES, Model},
    ops::Augment,
    optim::RuleChoice,
    training::network::{Plans, Recipe},
};

/// The flags of a network, a rule and a batch.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ModelFlags {
    /// A recipe of `velograd train`, or the config.toml of a run, for what it says of network, batch and optimizer; flags given
    /// here override it
    #[arg(long, value_name = "FILE.toml")]
    #[serde(skip)]
    config: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    #[serde(flatten)]
    samples: SampleFlags,
    #[command(flatten)]
    #[serde(flatten)]
    rule: RuleFlags,
    #[command(flatten)]
    #[serde(flatten)]
    batch: BatchFlags,
    #[command(flatten)]
    #[serde(flatten)]
    precision: PrecisionFlags,
    #[command(flatten)]
    #[serde(flatten)]
    device: DeviceFlags,
}

/// What the network would be trained on.
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[command(next_help_heading = "Network")]
pub struct SampleFlags {
    /// Side of the images in pixels [default: 32]
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<u32>,
    /// Classes of the images [default: 10], or tokens of the vocabulary [default: 65]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=i64::from(MOST_CLASSES as u32)))]
    classes: Option<u32>,
}

impl Flags for ModelFlags {
    const COMMAND: &'static str = "train";
    const IN_PART: bool = true;

    fn defaults() -> Self {
        Self {
            network: NetworkFlags::defaults(),
            rule: RuleFlags::defaults(),
            batch: BatchFlags::defaults(),
            precision: PrecisionFlags::defaults(),
            ..Self::default()
        }
    }

    fn sources(&self) -> Sources {
        Sources { config: self.config.clone(), ..Sources::default() }
    }
}

/// The values of [`ModelFlags`], with defaults.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The model.
    pub model: &'static Model,
    /// Its shape, for images of CIFAR-10 or [what else it takes](Model::usual_of).
    pub config: Config,
    /// Images per batch.
    pub batch_size: u32,
    /// The type in which activations are stored.
    pub precision: PrecisionFlag,
    /// The update rule.
    pub optimizer: RuleChoice,
    /// The settings of the rule that were given.
    pub set: Vec<(String, String)>,
    /// The adapter, by its index or part of its name.
    pub device: Option<String>,
}

impl ModelFlags {
    /// Merges these flags with a recipe and the defaults.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown network, optimizer or setting, or a size out of its range; the errors of
    /// reading a recipe.
    pub fn subject(&self) -> Result<Subject> {
        let layers = Layers::given(self)?;
        let (flags, remarks) = layers.complete::<Self>(super::flags::Preset::Paper)?.flags::<Self>()?;
        let subject = || {
            let Self { network, samples: SampleFlags { image_size, classes }, batch, rule, device, precision, .. } =
                flags;
            let argument = given(rule.optimizer);
            let model = network.model()?;
            let config = model.usual_of(&network.model_set, image_size, classes);
            let config = config.map_err(|error| layers.locate_model_set(error, model))?;
            let subject = Subject {
                model,
                config,
                batch_size: given(batch.batch_size),
                precision: given(precision.precision),
                optimizer: rule_file::choose(&argument).map_err(|error| of_setting(error, &argument, "optimizer"))?,
                set: rule.set,
                device: device.device,
            };
            let largest = model.largest_batch(&subject.config);
            if !(1..=largest).contains(&subject.batch_size) {
                return Err(Error::setting("batch_size", subject.batch_size, format!("from 1 to {largest}")));
            }
            let Subject { optimizer, set, .. } = &subject;
            let wrong = |key: &str, value: &str| optimizer.build(&[(key.into(), value.into())]).is_err();
            optimizer.build(set).map_err(|error| layers.locate_set(error, optimizer.name(), wrong))?;
            Ok(subject)
        };
        let subject = subject().map_err(|error| layers.locate(error))?;
        remarks.iter().for_each(|text| remark(text));
        Ok(subject)
    }
}

impl Subject {
    /// Opens the device, and plans one training program of this batch size, without evaluation.
    ///
    /// # Errors
    /// As [`open`](crate::host::device::open), or if the device does not support the precision.
    pub fn open(&self, tune: &TuneFlags) -> Result<(Gpu, Plans<'static>)> {
        let gpu = self.open_gpu()?;
        let plans = self.on(&gpu, tune)?;
        Ok((gpu, plans))
    }

    /// Opens the device alone.
    pub(super) fn open_gpu(&self) -> Result<Gpu> {
        open_device(self.device.as_deref())
    }

    /// The plans of [`Subject::open`] for a device that is open.
    pub(super) fn on(&self, gpu: &Gpu, tune: &TuneFlags) -> Result<Plans<'static>> {
        let (model, config) = (self.model, self.config.clone());
        let (precision, target) = self.precision.on(gpu)?;
        let recipe = Recipe { augment: Augment::PAPER, precision, ..Recipe::default() };
        let mut plans = Plans { model, config, recipe, target, train: vec![self.batch_size], evaluate: vec![] };
        let typed: Vec<_> = tune.choice.iter().map(|(name, _)| name.clone()).collect();
        plans.target = tune.apply(gpu, &plans, &typed)?;
        Ok(plans)
    }
}
