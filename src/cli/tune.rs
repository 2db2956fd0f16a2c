//! `velograd tune`, and `--tune` of the commands that train: measures which kernels are fastest.

use pollster::block_on;
use std::{sync::Arc, time::Instant};

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::{
    flags::device::{TuneFlag, TuneFlags},
    json_line,
    model::ModelFlags,
    print::{self, remark, say},
};
use crate::{
    cli::live,
    device::Gpu,
    error::{Error, Result, suggest},
    host::{run::Recipe, tuning::Memory},
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

impl TuneFlags {
    /// These flags, with tuning off unless it was asked for.
    pub(super) fn or_off(&self) -> Self {
        Self { tune: self.tune.or(Some(TuneFlag::Off)), choice: self.choice.clone() }
    }

    /// The flags for an experiment that was started with `recipe`: its choices, and those given now. Nothing is
    /// measured again.
    pub(super) fn begun(&self, recipe: &Recipe) -> Self {
        let known = recipe.get("choice").and_then(Value::as_object).into_iter().flatten();
        let word = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        let choice = known.filter_map(word).chain(self.choice.iter().cloned()).collect();
        Self { tune: Some(TuneFlag::Off), choice }
    }

    /// The target of `plans` with a choice for each product: as given, as found before, or as measured now. `typed` are
    /// the products whose choice the user typed.
    ///
    /// # Errors
    /// [`Error::Config`] if a typed product does not belong to the network; the errors of [`measure`].
    pub(super) fn apply(&self, gpu: &Gpu, plans: &Plans<'_>, typed: &[String]) -> Result<Target> {
        if !typed.is_empty() {
            let products = plans.products();
            let names: Vec<&str> = products.iter().map(|(product, _)| product.name.as_str()).collect();
            if let Some(unknown) = typed.iter().find(|name| !names.contains(&name.as_str())) {
                let message = format!("'choice' {unknown}: the network has no such product");
                let near = suggest::nearest(unknown, names.iter().copied());
                let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
                return Err(Error::about("choice", message, format!("{near}there are\n    {}", names.join("\n    "))));
            }
        }
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
            let measured = || block_on(measure(gpu, plans, &choices, effort));
            let found = live::during("measuring which form of each matrix product is fastest", measured)?;
            if !found.is_empty() {
                memory.keep(&found);
                let summary = summary(&found, start.elapsed().as_secs_f64());
                remark(&format!("{summary} (--tune off goes by the table)"));
            }
            choices.extend(found.iter().map(|m| (m.product.name.clone(), m.best().0)));
        }
        Ok(Target { tuned: Arc::new(choices), ..plans.target.clone() })
    }

    /// Adds to a recipe what repeats these choices: those that differ from the target's first candidate, and those that
    /// were given.
    pub(super) fn keep(&self, target: &Target, chosen: &[(Product, Choice)], recipe: &mut Recipe) {
        recipe.insert("tune".into(), "off".into());
        let mut words: Recipe = self.choice.iter().map(|(name, word)| (name.clone(), word.clone().into())).collect();
        for (product, choice) in chosen {
            if target.candidates(product)[0] != *choice {
                words.entry(product.name.clone()).or_insert_with(|| choice.to_string().into());
            }
        }
        recipe.insert("choice".into(), words.into());
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
    /// One JSON object per form of a product on standard output
    #[arg(long, help_heading = "Output")]
    json: bool,
    #[command(flatten)]
    model: ModelFlags,
}

/// Measures every form of every product, keeps the fastest, and shows them all.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let subject = arguments.model.subject()?;
    let (gpu, plans) = subject.open(&TuneFlags { tune: Some(TuneFlag::Off), choice: vec![] })?;
    let measured = || block_on(measure(&gpu, &plans, &Choices::new(), Effort::FULL));
    let found = live::during("measuring every form of each matrix product", measured)?;
    if found.is_empty() {
        let message = format!("{} has no timestamps, or not the memory: nothing was measured", gpu.info.name);
        return Err(Error::device(message, "a smaller 'batch_size' needs less memory; unmeasured, the table decides"));
    }
    Memory::of(&gpu).keep(&found);
    if arguments.json {
        found.iter().flat_map(rows).for_each(|row| json_line(&row));
        return Ok(());
    }
    let header = ["product", "times", "form", "ms", "GFLOP/s", ""].map(str::to_owned).to_vec();
    let table = Table { header, rows: found.iter().flat_map(rows).map(|row| cells(&row)).collect() };
    say!("{gpu}");
    print::table(&table);
    say!("{}", summary(&found, start.elapsed().as_secs_f64()));
    Ok(())
}

/// The measurement of one candidate.
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

/// The cells of a row. The product is named only in its first row, that of the table's form.
fn cells(row: &Row) -> Vec<String> {
    let Row { product, times, form, ms, gflops, table, chosen } = row;
    let remarks = [(*table, "the table's"), (*chosen, "chosen")];
    let remarks: Vec<_> = remarks.iter().filter(|(holds, _)| *holds).map(|(_, text)| *text).collect();
    let [product, times] = if *table { [product.clone(), times.to_string()] } else { Default::default() };
    vec![product, times, form.clone(), format!("{ms:.3}"), format!("{gflops:.1}"), remarks.join(", ")]
}
