//! `velograd probe`: measures update rules alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::{
    flags::{
        Preset,
        data::DataFlags,
        device::DeviceFlags,
        optimizer::{RulesFlags, chosen},
    },
    live,
    normalization::choose_and_say,
    open_device,
    print::{self, note, say},
    schedule::draw,
};
use crate::{
    error::{Error, Result},
    host::{
        data as host_data,
        files::write_atomically,
        loader::ReadAhead,
        pretrained::{Head, Pretrained},
    },
    lab::{
        figure::{Axis, Content, Figure, Line, Panel, Point},
        probe::{self, Frozen},
        table::Table,
    },
    models::{Config, resnet},
    optim::{self, RuleChoice},
    training::{Options, Trainer, weights::Weights},
};
use pollster::block_on;

#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The largest update after one gradient spike, for spikes of several sizes (MVN-Grad's figure 3)
    Spike(Flags),
    /// The variance of the next update given the optimizer's state, at a frozen network, for batches of several sizes
    /// (MVN-Grad's figure 2)
    Variance(VarianceFlags),
}

#[derive(Args)]
struct Flags {
    /// How much is measured: paper, or quick for a first look in a minute on two cores, with fewer sizes and a smaller network
    /// [default: paper]
    #[arg(long, value_enum, ignore_case = true)]
    preset: Option<Preset>,
    /// Short for --preset quick
    #[arg(long, conflicts_with = "preset")]
    quick: bool,
    /// Seed of the gradients
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    rules: RulesFlags,
    #[command(flatten)]
    device: DeviceFlags,
    /// Folder for the table (CSV) and the figure (SVG, PNG)
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
}

#[derive(Args)]
struct VarianceFlags {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    data: DataFlags,
    /// Where the network is frozen: what `train` wrote, checkpoints included [default: trained for --max-steps updates by Adam]
    #[arg(long, value_name = "FILE.safetensors")]
    weights: Option<PathBuf>,
    /// Channels of the first stage of the network that is trained [default: 8, quick 4]
    #[arg(long)]
    width: Option<u32>,
    /// Updates before it is frozen [default: 200, quick 30]
    #[arg(long, value_name = "N")]
    max_steps: Option<u64>,
    /// Images of the smallest batch; the others are 2, 4 and 8 times as large
    #[arg(long, default_value_t = 16)]
    batch_size: u32,
}

/// Sizes of a spike in standard deviations of the gradient.
const SPIKES: [f64; 9] = [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4];

/// Sizes of a batch, in multiples of `--batch-size`.
const GROUPS: [usize; 4] = [1, 2, 4, 8];

/// Number of batches that build up the optimizer's state, and number of batches over whose updates the variance is
/// taken.
const BATCHES: [usize; 2] = [20, 16];

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.what {
        What::Spike(flags) => spike(flags),
        What::Variance(flags) => variance(flags),
    }
}

/// An optimizer and its settings.
type Rule = (RuleChoice, Vec<(String, String)>);

impl Flags {
    fn is_quick(&self) -> bool {
        self.quick || self.preset == Some(Preset::Quick)
    }

    fn rules(&self) -> Result<Vec<Rule>> {
        let all = || optim::ALL.iter().map(|rule| RuleChoice::from(&rule.name)).collect();
        let RulesFlags { optimizers, set } = &self.rules;
        let named = || optimizers.iter().map(|argument| chosen(argument, None)).collect::<Result<_>>();
        let rules: Vec<RuleChoice> = if optimizers.is_empty() { all() } else { named()? };
        let of_rule = |(key, value): &(String, String)| {
            let (name, key) = key.rsplit_once(':').unwrap_or(("", key));
            (name.to_owned(), key.to_owned(), value.clone())
        };
        let set: Vec<_> = set.iter().map(of_rule).collect();
        let is = |rule: &RuleChoice, of: &str| rule.name().eq_ignore_ascii_case(of);
        let with_settings = |rule: &RuleChoice| {
            let own = set.iter().filter(|(of, ..)| is(rule, of));
            let set: Vec<_> = own.map(|(_, key, value)| (key.clone(), value.clone())).collect();
            rule.build(&set)?;
            Ok((rule.clone(), set))
        };
        if let Some((name, key, value)) = set.iter().find(|(of, ..)| !rules.iter().any(|rule| is(rule, of))) {
            let names: Vec<_> = rules.iter().map(RuleChoice::name).collect();
            let message = format!("'set' {name}:{key}={value}: `{name}` is not probed");
            return Err(Error::about("set", message, format!("there are {}", names.join(", "))));
        }
        rules.iter().map(with_settings).collect()
    }
}

fn spike(flags: &Flags) -> Result<()> {
    let rules = flags.rules()?;
    let gpu = open_device(flags.device.device.as_deref())?;
    let sizes: Vec<f64> = SPIKES.iter().copied().step_by(if flags.is_quick() { 4 } else { 1 }).collect();
    let value = |(name, set): &Rule, size: f64| block_on(probe::spike(&gpu, name, set, size, flags.seed));
    let title = "Largest update / lr after one gradient spike";
    show(flags, "spike", title, Axis::log("spike, standard deviations of the gradient"), &rules, &sizes, value)
}

fn variance(flags: &VarianceFlags) -> Result<()> {
    let VarianceFlags { flags, data, weights, width, max_steps, batch_size } = flags;
    let rules = flags.rules()?;
    let from_file = weights.as_deref().map(resnet18).transpose()?;
    let width = width.unwrap_or(if flags.is_quick() { 4 } else { 8 });
    let model = &resnet::RESNET18;
    let set = [("width".to_owned(), width.to_string())];
    model.parse(&set)?;
    let gpu = open_device(flags.device.device.as_deref())?;
    let found = || host_data::open(data.wanted(0));
    let opened = live::during("opening the images", found)?;
    opened.notes.iter().for_each(|text| note!("{text}"));
    let dataset = opened.dataset;
    let spec = dataset.spec();
    let config = match &from_file {
        Some(weights) => {
            weights.fit_classes(spec, "without 'weights' a network is trained first")?;
            weights.config_on(spec.input)?
        }
        None => model.config(spec.input, spec.classes.len() as u32, &set)?,
    };
    let normalize = choose_and_say(None, from_file.as_ref(), model, dataset.as_ref())?;
    let trained = match &from_file {
        Some(_) => None,
        None => {
            let max_steps = max_steps.unwrap_or(if flags.is_quick() { 30 } else { 200 });
            let options = training(config.clone(), max_steps, flags.seed);
            note!("training a network of width {width} for {max_steps} updates by Adam");
            let source = Arc::new(ReadAhead(dataset.clone()));
            let first = |layout: &_| Ok(Weights::init(layout, flags.seed));
            let train = || {
                block_on(async {
                    let mut trainer = Trainer::new(&gpu, &gpu.target, source, options, first).await?;
                    trainer.run(&mut ()).await?;
                    trainer.network.weights().await
                })
            };
            Some(live::during("training the network", train)?)
        }
    };
    let groups: Vec<usize> = GROUPS.iter().copied().step_by(if flags.is_quick() { 3 } else { 1 }).collect();
    let count = BATCHES.iter().sum::<usize>() * groups.iter().max().unwrap_or(&1);
    note!("drawing {count} gradients of {batch_size} images there");
    let point = probe::Point { model, config, normalize, dataset, batch: *batch_size, seed: flags.seed };
    let weights = |layout: &_| match (&from_file, trained) {
        (Some(weights), _) => weights.weights(layout, Head::Load, flags.seed),
        (None, trained) => Ok(trained.expect("trained above")),
    };
    let drawn = || block_on(Frozen::new(&gpu, &point, weights, count));
    let frozen = live::during("drawing gradients", drawn)?;
    let sizes: Vec<f64> = groups.iter().map(|g| *g as f64 * f64::from(*batch_size)).collect();
    let value = |(name, set): &Rule, size: f64| {
        let group = (size / f64::from(*batch_size)) as usize;
        block_on(frozen.conditional_variance(&gpu, name, set, group, BATCHES))
    };
    let title = "Variance of the next update / lr², given the state";
    show(flags, "variance", title, Axis::log("images of a batch"), &rules, &sizes, value)
}

/// Opens weights of resnet18.
fn resnet18(path: &Path) -> Result<Pretrained> {
    let weights = Pretrained::open(path)?;
    if weights.model.name != "resnet18" {
        let found = format!("those of {}", weights.model.name);
        return Err(Error::data(path, "weights of resnet18", found, "`probe` knows no other model"));
    }
    weights.remarks.iter().for_each(|remark| note!("{remark}"));
    Ok(weights)
}

/// The options of the training, by Adam, before the network is frozen.
fn training(config: Config, max_steps: u64, seed: u64) -> Options {
    let (optimizer, max_steps) = ("adam".into(), Some(max_steps));
    Options { config, optimizer, epochs: u32::MAX, max_steps, batch: 64, accumulate: 1, seed, ..Options::default() }
}

/// Measures each rule at each size; prints the table, and writes it with its figure.
fn show(
    flags: &Flags,
    name: &str,
    title: &str,
    x: Axis,
    rules: &[Rule],
    sizes: &[f64],
    value: impl Fn(&Rule, f64) -> Result<f64>,
) -> Result<()> {
    let header = std::iter::once("optimizer".to_owned()).chain(sizes.iter().map(f64::to_string)).collect();
    let mut table = Table { header, rows: vec![] };
    let header = ["optimizer", name_of_size(name), "value"].map(str::to_owned).to_vec();
    let (mut lines, mut all) = (vec![], Table { header, rows: vec![] });
    for rule in rules {
        let one = |&size: &f64| live::during(&format!("{} at {size}", rule.0), || value(rule, size));
        let values = sizes.iter().map(one).collect::<Result<Vec<f64>>>()?;
        table.rows.push(std::iter::once(rule.0.to_string()).chain(values.iter().map(|v| format!("{v:.3e}"))).collect());
        let row = |(size, value): (&f64, &f64)| vec![rule.0.to_string(), size.to_string(), value.to_string()];
        all.rows.extend(sizes.iter().zip(&values).map(row));
        let points = sizes.iter().zip(&values).map(|(&x, &y)| Point::new(x, y)).collect();
        lines.push(Line { label: rule.0.to_string(), points, crosses: vec![] });
    }
    say!("{title}");
    print::table(&table);
    let Some(out) = &flags.out else { return Ok(()) };
    std::fs::create_dir_all(out).map_err(Error::io("create", out))?;
    let y = Axis::log(title.split(" after").next().unwrap_or(title).split(", given").next().unwrap_or(title));
    let panel = Panel { title: title.into(), x, y, content: Content::Lines(lines) };
    let figure = Figure { title: String::new(), panels: vec![panel], columns: 1 };
    draw(&figure, &out.join(format!("{name}.svg")))?;
    draw(&figure, &out.join(format!("{name}.png")))?;
    write_atomically(&out.join(format!("{name}.csv")), all.csv().as_bytes())?;
    say!("wrote {name}.csv, {name}.svg, {name}.png to {}", out.display());
    Ok(())
}

fn name_of_size(name: &str) -> &'static str {
    if name == "spike" { "standard_deviations" } else { "images" }
}
