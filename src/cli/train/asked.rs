//! What the flags of `velograd train` ask for, before and after a device is opened.

use std::sync::Arc;

use pollster::block_on;
use serde_json::{Value, json};

use crate::{
    check::selftest,
    cli::{
        flags::{
            Preset, given,
            optimizer::of_setting,
            recipe_of,
            train::{InitHead, Selftest, TrainFlags},
        },
        layers::{Layers, SHORT_FORMS},
        live,
        print::{explain, note, remark},
        recipe::{self, names_in},
        resume,
    },
    data::Dataset,
    device::Gpu,
    error::Result,
    host::{
        files::absolute,
        loader::ReadAhead,
        pretrained::Pretrained,
        rule_file,
        run::{Recipe, run_json},
    },
    optim::{RuleChoice, Settings},
    program::{params::Layout, target::Target},
    training::{Options, Trainer, provenance::Provenance, weights::Weights, whiten::first_weights},
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

    /// Sets up the run on a device and opens the data. `begun` is a run that is continued, with its `run.json`.
    pub fn on(self, gpu: Gpu, init: Option<&Pretrained>, begun: Option<(&resume::Target, &Value)>) -> Result<Setup> {
        let Self { layers, preset, flags, rule: optimizer, remarks } = self;
        remarks.iter().for_each(|text| remark(text));
        explain(layers.explained());
        let run = &flags.run;
        let (set, seed) = (flags.run.rules.set.clone(), given(flags.seed));
        let (precision, target) = given(run.precision.precision).on(&gpu)?;
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
        plans.target = run.tune.apply(&gpu, &plans, &names_in(layers.on_command_line("choice")))?;
        let (rule, settings) = options.optimizer.build(&options.set)?;
        let (target, programs) = (plans.target(), plans.programs(Some(rule.as_ref())));
        let products = programs.products(&target);
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
        Ok(Setup { gpu, target, dataset, options, settings, flags, recipe })
    }
}

/// A run that is set up on a device.
pub struct Setup {
    pub gpu: Gpu,
    /// The choice of kernels.
    target: Target,
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

    pub fn trainer(&self, weights: impl FnOnce(&Layout) -> Result<Weights>) -> Result<Trainer> {
        let source = Arc::new(ReadAhead(self.dataset.clone()));
        let ready = || block_on(Trainer::new(&self.gpu, &self.target, source, self.options.clone(), weights));
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
