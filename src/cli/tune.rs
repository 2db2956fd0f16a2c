//! `velograd tune`, and `--tune` of the commands that train.

use pollster::block_on;
use std::{sync::Arc, time::Instant};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{
    ModelFlags, json_line, key_value,
    print::{remark, say},
};
use crate::{
    device::Gpu,
    error::{Error, Result},
    host::tuning::Memory,
    lab::table::Table,
    program::{
        product::{Choice, Product},
        target::Target,
    },
    training::{
        network::Plans,
        tune::{Choices, Effort, Measured, measure},
    },
};

/// `--tune`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TuneFlag {
    /// As the table says
    Off,
    /// A few forms of products that were not measured before, for about two seconds
    Fast,
    /// Every form of every product
    Full,
}

/// Which form of each matrix product runs.
#[derive(Args, Clone, Debug, Default)]
pub struct TuneFlags {
    /// Measures which form of each matrix product is fastest; what is found is kept by device and driver [default: fast on a
    /// GPU, off on a software adapter]
    #[arg(long, value_enum)]
    pub tune: Option<TuneFlag>,
    /// A form that was found before, as run.json keeps it, as often as needed
    #[arg(long = "choice", value_name = "PRODUCT=FORM", value_parser = key_value)]
    pub choice: Vec<(String, String)>,
}

impl TuneFlags {
    /// Without measuring, unless that was asked for.
    pub(super) fn or_off(&self) -> Self {
        Self { tune: self.tune.or(Some(TuneFlag::Off)), choice: self.choice.clone() }
    }

    /// Those of an experiment that was begun with `recipe`, and what was given beside them: nothing is measured again.
    pub(super) fn begun(&self, recipe: &toml::Table) -> Self {
        let known = recipe.get("choice").and_then(toml::Value::as_table).into_iter().flatten();
        let word = |(name, value): (&String, &toml::Value)| Some((name.clone(), value.as_str()?.to_owned()));
        let choice = known.filter_map(word).chain(self.choice.iter().cloned()).collect();
        Self { tune: Some(TuneFlag::Off), choice }
    }

    /// The target of `plans` with its products computed as given, as found before, or as found now.
    ///
    /// # Errors
    /// As [`measure`].
    pub(super) fn apply(&self, gpu: &Gpu, plans: &Plans<'_>) -> Result<Target> {
        let given = self.choice.iter().filter_map(|(name, word)| Some((name.clone(), plans.target.choice(word)?)));
        let mut choices: Choices = given.collect();
        let foreign = self.choice.iter().filter(|(name, _)| !choices.contains_key(name)).count();
        if foreign > 0 {
            remark(&format!(
                "{foreign} products are computed otherwise than given, in forms that suit {}",
                gpu.info.name
            ));
        }
        let default = if gpu.info.is_software() || !self.choice.is_empty() { TuneFlag::Off } else { TuneFlag::Fast };
        let effort = match self.tune.unwrap_or(default) {
            TuneFlag::Off => None,
            TuneFlag::Fast => Some(Effort::FAST),
            TuneFlag::Full => Some(Effort::FULL),
        };
        if let Some(effort) = effort {
            let start = Instant::now();
            let mut memory = Memory::of(gpu);
            if effort == Effort::FAST {
                let known = memory.choices(&plans.target);
                choices = known.into_iter().chain(choices).collect();
            }
            let found = block_on(measure(gpu, plans, &choices, effort))?;
            if !found.is_empty() {
                memory.keep(&found);
                let summary = summary(&found, start.elapsed().as_secs_f64());
                remark(&format!("{summary} (--tune off goes by the table)"));
            }
            choices.extend(found.iter().map(|m| (m.product.name.clone(), m.best().0)));
        }
        Ok(Target { tuned: Arc::new(choices), ..plans.target.clone() })
    }

    /// What makes these choices again, for a recipe: forms that are not the table's, and such as were given.
    pub(super) fn to_toml(&self, target: &Target, chosen: &[(Product, Choice)], table: &mut toml::Table) {
        table.insert("tune".into(), "off".into());
        let mut words: toml::Table =
            self.choice.iter().map(|(name, word)| (name.clone(), word.clone().into())).collect();
        for (product, choice) in chosen {
            if target.candidates(product)[0] != *choice {
                words.entry(product.name.clone()).or_insert_with(|| choice.to_string().into());
            }
        }
        if !words.is_empty() {
            table.insert("choice".into(), words.into());
        }
    }
}

fn summary(found: &[Measured], seconds: f64) -> String {
    let ms = |of: fn(&Measured) -> f64| found.iter().map(|m| 1e3 * f64::from(m.times) * of(m)).sum::<f64>();
    let other = found.iter().filter(|m| m.best().0 != m.table().0).count();
    format!(
        "tuned {} matrix products in {seconds:.1} s: {other} in another form than the table's, {:.2} ms of all of them instead of {:.2}",
        found.len(),
        ms(|m| m.best().1),
        ms(|m| m.table().1)
    )
}

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: ModelFlags,
    /// One JSON object per form of a product on standard output
    #[arg(long)]
    json: bool,
}

/// Measures every form of every product, keeps the fastest, and shows them all.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let (gpu, plans) = arguments.model.open(&TuneFlags { tune: Some(TuneFlag::Off), choice: vec![] })?;
    let found = block_on(measure(&gpu, &plans, &Choices::new(), Effort::FULL))?;
    if found.is_empty() {
        let message = format!("{} has no timestamps, or not the memory: nothing was measured", gpu.info.name);
        return Err(Error::device(message, "a smaller --batch-size needs less memory; unmeasured, the table decides"));
    }
    Memory::of(&gpu).keep(&found);
    if arguments.json {
        found.iter().flat_map(rows).for_each(|row| json_line(&row));
        return Ok(());
    }
    let header = ["product", "times", "form", "ms", "GFLOP/s", ""].map(str::to_owned).to_vec();
    let table = Table { header, rows: found.iter().flat_map(rows).map(|row| cells(&row)).collect() };
    say!("{gpu}");
    say!("{}", table.text().trim_end());
    say!("{}", summary(&found, start.elapsed().as_secs_f64()));
    Ok(())
}

/// What a candidate took.
#[derive(Serialize)]
struct Row {
    product: String,
    times: u32,
    form: String,
    ms: f64,
    gflops: f64,
    table: bool,
    chosen: bool,
}

fn rows(measured: &Measured) -> impl Iterator<Item = Row> {
    measured.seconds.iter().enumerate().map(|(nth, (choice, seconds))| Row {
        product: measured.product.name.clone(),
        times: measured.times,
        form: choice.to_string(),
        ms: 1e3 * seconds,
        gflops: measured.product.operations() / seconds / 1e9,
        table: nth == 0,
        chosen: *choice == measured.best().0,
    })
}

/// The product is named where the table's form begins it.
fn cells(row: &Row) -> Vec<String> {
    let Row { product, times, form, ms, gflops, table, chosen } = row;
    let remarks = [(*table, "the table's"), (*chosen, "chosen")];
    let remarks: Vec<_> = remarks.iter().filter(|(holds, _)| *holds).map(|(_, text)| *text).collect();
    let [product, times] = if *table { [product.clone(), times.to_string()] } else { Default::default() };
    vec![product, times, form.clone(), format!("{ms:.3}"), format!("{gflops:.1}"), remarks.join(", ")]
}
