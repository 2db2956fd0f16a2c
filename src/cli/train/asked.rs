//! What the flags of `velograd train` ask for, before and after a device is opened.

use std::{sync::Arc, time::Duration};

use pollster::block_on;
use serde_json::{Value, json};

use crate::{
    check::selftest,
    cli::{
        flags::{
            Preset,
            device::{TuneFlag, TuneFlags},
            given,
            optimizer::of_setting,
            recipe_of,
            train::{InitHead, OnDeviceLost, Selftest, TrainFlags},
        },
        layers::{Layers, SHORT_FORMS},
        live, open_ranks_device,
        print::{explain, note, remark},
        recipe::{self, names_in},
        resume,
    },
    data::Dataset,
    device::Gpu,
    error::{Error, Result},
    host::{
        files::absolute,
        loader::ReadAhead,
        pretrained::Pretrained,
        ranks::Ranks,
        rule_file,
        run::{Recipe, run_json},
    },
    optim::{RuleChoice, Settings},
    program::{params::Layout, target::Target},
    training::{Options, Trainer, network::Plans, provenance::Provenance, weights::Weights, whiten::first_weights},
};

use super::images::{moved, same_images};

/// The complete flags.
pub struct Asked {
    layers: Layers,
    preset: Preset,
    pub flags: TrainFlags,
    /// The update rule.
    pub rule: RuleChoice,
    /// Remarks on parts of a recipe that were left out.
    remarks: Vec<String>,
}

impl Asked {
    /// Completes the flags. A run that is continued keeps the rule in `begun`, its `run.json`.
    pub fn new(layers: &Layers, preset: Preset, begun: Option<&Value>) -> Result<Self> {
        let layers = layers.complete::<TrainFlags>(preset)?;
        let (flags, remarks) = layers.flags::<TrainFlags>()?;
        let argument = given(flags.run.rules.optimizer.clone());
        let rule = match begun {
            Some(run) => rule_file::resumed(run, &argument),
            None => rule_file::choose(&argument),
        };
        let rule = rule.map_err(|error| of_setting(error, &argument, "optimizer"))?;
        Ok(Self { layers, preset, flags, rule, remarks })
    }

    /// Checks what can be checked without a device or data.
    pub fn check(&self) -> Result<()> {
        let rule = &self.rule;
        let wrong = |key: &str, value: &str| rule.build(&[(key.into(), value.into())]).is_err();
        let built = rule.build(&self.flags.run.rules.set);
        built.map_err(|error| self.layers.locate_set(error, rule.name(), wrong))?;
        self.flags.run.check(&self.layers)
    }

    /// Opens the device of this rank.
    ///
    /// # Errors
    /// [`Error::Config`] for what several ranks cannot do, and those of opening a device.
    pub fn open_device(&self, ranks: &Ranks) -> Result<Gpu> {
        if ranks.rank().has_others() {
            self.check_ranks(ranks.rank().of)?;
        }
        ranks.launched().bound().iter().for_each(|text| note!("{text}"));
        open_ranks_device(self.flags.run.device.device.as_deref(), ranks.launched())
    }

    fn check_ranks(&self, ranks: usize) -> Result<()> {
        if given(self.flags.debug_nan) {
            let hint = "train on one device, from the last checkpoint before it, to find the kernel and layer";
            return Err(Error::about("debug_nan", "'debug_nan' with several ranks", hint));
        }
        if given(self.flags.on_device_lost) == OnDeviceLost::Resume {
            let hint = "leave it out: a rank that loses its device ends all, and 'resume' goes on";
            return Err(Error::about("on_device_lost", "'on_device_lost' resume with several ranks", hint));
        }
        let (model, accumulate) =
            (given(self.flags.run.network.model.clone()), given(self.flags.run.schedule.accumulate));
        Options { model, accumulate, ..Options::default() }.check_ranks(ranks)
    }

    /// Sets up the run on a device and opens the data. `begun` is a run that is continued, with its `run.json`.
    pub fn on(
        self,
        gpu: Gpu,
        init: Option<&Pretrained>,
        begun: Option<(&resume::Target, &Value)>,
        ranks: &Ranks,
    ) -> Result<Setup> {
        let Self { layers, preset, flags, rule: optimizer, remarks } = self;
        remarks.iter().for_each(|text| remark(text));
        explain(layers.explained());
        let run = &flags.run;
        let (set, seed) = (flags.run.rules.set.clone(), given(flags.seed));
        let (precision, mut target) = given(run.precision.precision).on(&gpu)?;
        // Whether cooperative matrices are worth it was measured, and the ranks have to do the same.
        if ranks.from_first(&target.matrix.is_some().to_string(), flags.patience())? == "false" {
            target.matrix = None;
        }
        let data_seed = run.images.data_seed.unwrap_or(seed);
        // Text keeps the tokens of the run that is continued, and of weights that are loaded with their last layer.
        let vocabulary = match begun {
            Some((_, before)) => Provenance::of_run(before).ok().and_then(|run| run.vocabulary()),
            None if given(flags.init_head) == InitHead::Load => init.and_then(Pretrained::vocabulary),
            None => None,
        };
        let dataset = run.open(data_seed, init, vocabulary.as_ref()).map_err(|error| match begun {
            Some((target, before)) => moved(error, target, before),
            None => error,
        })?;
        if let Some((target, before)) = begun {
            same_images(target, before, dataset.as_ref())?;
        }
        let spec = dataset.spec();
        let config = match init {
            Some(init) => given(flags.init_head).config(init, spec)?,
            None => run.network.config(spec.input, spec.classes.len() as u32)?.1,
        };
        let mut options = Options { optimizer, set, seed, ..run.options(precision, config)? };
        run.normalize(&mut options, dataset.as_ref(), init)?;
        options.remarks(dataset.as_ref()).iter().for_each(|text| note!("{text}"));
        let mut plans = options.plans(dataset.as_ref(), &target)?;
        let typed = names_in(layers.on_command_line("choice"));
        if ranks.is_first() {
            plans.target = run.tune.apply(&gpu, &plans, &typed)?;
        }
        if ranks.rank().has_others() {
            plans.target = chosen_by_first(&gpu, &plans, ranks, flags.patience())?;
        }
        let (rule, settings) = options.optimizer.build(&options.set)?;
        let (target, programs) = (plans.target(), plans.programs(Some(rule.as_ref())));
        let products = programs.products(&target);
        let choices = products.iter().map(|(product, choice)| format!("{}: {choice}", product.name)).collect();
        if flags.selftest == Some(Selftest::Short) {
            let choices = products.iter().map(|(_, choice)| *choice);
            let kernels = programs.kernels();
            let uses = |kernel: &str| kernels.contains(kernel);
            let assured = || block_on(selftest::assure(&gpu, &target, choices, options.optimizer.name(), uses));
            live::during("comparing the device's kernels with CPU values", assured)?;
        }
        let mut recipe = recipe_of(&flags)?;
        recipe::resolve(&mut recipe, preset, &options, dataset.as_ref(), data_seed);
        run.tune.keep(&plans.target, &products, &mut recipe);
        recipe.insert("init".into(), json!(flags.init.as_deref().map(absolute)));
        recipe.retain(|key, _| SHORT_FORMS.iter().all(|(flag, ..)| flag != key));
        let target = plans.target;
        Ok(Setup { gpu, target, choices, dataset, options, settings, flags, recipe })
    }
}

/// The choice of kernels of rank 0, which has measured for all.
fn chosen_by_first(gpu: &Gpu, plans: &Plans<'_>, ranks: &Ranks, patience: Duration) -> Result<Target> {
    let own: Vec<_> = plans.products().iter().map(|(product, form)| (product.name.clone(), form.to_string())).collect();
    let words = ranks.from_first(&json!(own).to_string(), patience)?;
    if ranks.is_first() {
        return Ok(plans.target.clone());
    }
    let choice = serde_json::from_str(&words).map_err(|e| Error::config(e.to_string(), ""))?;
    TuneFlags { tune: Some(TuneFlag::Off), choice }.apply(gpu, plans, &[])
}

/// A run that is set up on a device.
pub struct Setup {
    pub gpu: Gpu,
    /// The choice of kernels.
    target: Target,
    /// The same as texts.
    choices: Vec<String>,
    pub dataset: Arc<dyn Dataset>,
    pub options: Options,
    pub settings: Settings,
    pub flags: TrainFlags,
    /// The recipe that repeats the run.
    recipe: Recipe,
}

impl Setup {
    pub fn run_json(&self) -> Value {
        let Self { gpu, target, dataset, options, settings, recipe, .. } = self;
        run_json(gpu, target, dataset.as_ref(), options, settings, recipe)
    }

    /// Refuses to train with ranks that differ from the first in device, data or settings.
    fn assure_alike(&self, ranks: &Ranks) -> Result<()> {
        let mut own = self.run_json();
        own["kernels"] = json!(self.choices);
        let first = ranks.from_first(&own.to_string(), self.flags.patience())?;
        let first: Value = serde_json::from_str(&first).map_err(|e| Error::config(e.to_string(), ""))?;
        // Each has been started by itself, and of the recipe all that computes something is among the rest.
        let compared =
            own.as_object().into_iter().flatten().filter(|(key, _)| !["begun", "recipe"].contains(&key.as_str()));
        let differing: Vec<String> = compared
            .filter(|(key, value)| first[key.as_str()] != **value)
            .map(|(key, value)| format!("{key} is {value}, and {} there", first[key.as_str()]))
            .collect();
        if differing.is_empty() {
            return Ok(());
        }
        let message = format!("this rank differs from rank 0:\n  {}", differing.join("\n  "));
        Err(Error::config(message, "ranks need the same build, kind of device, driver, data and settings"))
    }

    pub fn trainer(&self, ranks: &Ranks, weights: impl FnOnce(&Layout) -> Result<Weights>) -> Result<Trainer> {
        self.assure_alike(ranks)?;
        let source = Arc::new(ReadAhead(self.dataset.clone()));
        let (options, exchange) = (self.options.clone(), ranks.exchange(self.flags.patience()));
        let ready = || block_on(Trainer::of_ranks(&self.gpu, &self.target, source, options, weights, exchange));
        live::during("preparing the network", ready)
    }

    pub fn first_weights(&self, layout: &Layout) -> Result<Weights> {
        first_weights(layout, self.options.seed, self.dataset.as_ref(), self.options.normalize()?)
    }

    /// Makes the run one of so many epochs, without a limit on its updates.
    pub fn extend(&mut self, epochs: u32) {
        (self.options.epochs, self.options.max_steps) = (epochs, None);
        self.recipe.insert("epochs".into(), json!(epochs));
        self.recipe.insert("max-steps".into(), Value::Null);
    }
}
