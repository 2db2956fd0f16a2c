//! `velograd tune`, and `--tune` of the commands that train.

use std::{io::Write as _, sync::Arc, time::Instant};

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{ModelFlags, json_line, key_value, print::say};
use crate::{
    error::{Error, Result},
    gpu::{Gpu, is_software},
    network::Plans,
    table::Table,
    tune::{Choices, Effort, Measured, Memory, measure},
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
    /// Those of a run or an experiment that was begun with `recipe`.
    pub(super) fn begun(recipe: &toml::Table) -> Self {
        let given = recipe.get("choice").and_then(toml::Value::as_table).into_iter().flatten();
        let word = |(name, value): (&String, &toml::Value)| Some((name.clone(), value.as_str()?.to_owned()));
        Self { tune: Some(TuneFlag::Off), choice: given.filter_map(word).collect() }
    }

    /// Has the device compute the products of `plans` as given, as found before, or as found now.
    ///
    /// # Errors
    /// As [`measure`].
    pub(super) fn apply(&self, gpu: &mut Gpu, plans: &Plans<'_>) -> Result<()> {
        let given = self.choice.iter().filter_map(|(name, word)| Some((name.clone(), gpu.target.choice(word)?)));
        let mut choices: Choices = given.collect();
        let foreign = self.choice.iter().filter(|(name, _)| !choices.contains_key(name)).count();
        if foreign > 0 {
            remark(&format!(
                "{foreign} products are computed otherwise than given, in forms that suit {}",
                gpu.info.name
            ));
        }
        let default = if is_software(&gpu.info) || !self.choice.is_empty() { TuneFlag::Off } else { TuneFlag::Fast };
        let effort = match self.tune.unwrap_or(default) {
            TuneFlag::Off => None,
            TuneFlag::Fast => Some(Effort::Fast),
            TuneFlag::Full => Some(Effort::Full),
        };
        if let Some(effort) = effort {
            let start = Instant::now();
            let mut memory = Memory::of(gpu);
            if effort == Effort::Fast {
                let known = memory.choices(&gpu.target);
                choices = known.into_iter().chain(choices).collect();
            }
            let found = measure(gpu, plans, &choices, effort)?;
            if !found.is_empty() {
                memory.keep(&found);
                let summary = summary(&found, start.elapsed().as_secs_f64());
                remark(&format!("{summary} (--tune off goes by the table)"));
            }
            choices.extend(found.iter().filter_map(|m| Some((m.product.name.clone(), m.best()?.0))));
        }
        gpu.target.tuned = Arc::new(choices);
        Ok(())
    }

    /// What makes the choices for `plans` again, for a recipe: forms that are not the table's, and such as were given.
    pub(super) fn to_toml(&self, gpu: &Gpu, plans: &Plans<'_>, table: &mut toml::Table) {
        table.insert("tune".into(), "off".into());
        let mut words: toml::Table =
            self.choice.iter().map(|(name, word)| (name.clone(), word.clone().into())).collect();
        for (product, choice) in plans.products(&gpu.target) {
            if gpu.target.candidates(&product)[0] != choice {
                words.entry(product.name).or_insert_with(|| choice.to_string().into());
            }
        }
        if !words.is_empty() {
            table.insert("choice".into(), words.into());
        }
    }
}

/// To standard error: the output may be a table or JSON.
fn remark(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn summary(found: &[Measured], seconds: f64) -> String {
    let sum =
        |of: fn(&Measured) -> Option<f64>| found.iter().filter_map(|m| Some(f64::from(m.times) * of(m)?)).sum::<f64>();
    let (table, best) = (sum(|m| Some(m.seconds.first()?.1)), sum(|m| Some(m.best()?.1)));
    let other = found.iter().filter(|m| m.best().map(|b| b.0) != m.seconds.first().map(|s| s.0)).count();
    format!(
        "tuned {} matrix products in {seconds:.1} s: {other} in another form than the table's, {:.2} ms of a batch instead of {:.2}",
        found.len(),
        1e3 * best,
        1e3 * table
    )
}

#[derive(Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    model: ModelFlags,
    /// One JSON object per product on standard output
    #[arg(long)]
    json: bool,
}

/// Measures every form of every product, keeps the fastest, and shows them all.
pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let flags =
        ModelFlags { tune: TuneFlags { tune: Some(TuneFlag::Off), ..TuneFlags::default() }, ..arguments.model.clone() };
    let (gpu, plans) = flags.open()?;
    let found = measure(&gpu, &plans, &Choices::new(), Effort::Full)?;
    if found.is_empty() {
        return Err(Error::device(
            format!("{} has no timestamps: nothing can be measured", gpu.info.name),
            "--tune off",
        ));
    }
    Memory::of(&gpu).keep(&found);
    let header = ["product", "times", "form", "ms", "GFLOP/s", ""].map(str::to_owned).to_vec();
    let mut table = Table { header, rows: vec![] };
    for measured @ Measured { product, times, seconds } in &found {
        let best = measured.best().map(|best| best.0);
        for (nth, (choice, seconds)) in seconds.iter().enumerate() {
            let gflops = product.operations() / seconds / 1e9;
            let chosen = Some(*choice) == best;
            if arguments.json {
                json_line(
                    &json!({ "product": product.name, "times": times, "form": choice.to_string(), "ms": 1e3 * seconds,
                    "gflops": gflops, "table": nth == 0, "chosen": chosen }),
                );
            }
            let remark =
                [(nth == 0, "the table's"), (chosen, "chosen")].iter().filter(|r| r.0).map(|r| r.1).collect::<Vec<_>>();
            let (name, times) = if nth == 0 { (product.name.clone(), times.to_string()) } else { Default::default() };
            table.rows.push(vec![
                name,
                times,
                choice.to_string(),
                format!("{:.3}", 1e3 * seconds),
                format!("{gflops:.1}"),
                remark.join(", "),
            ]);
        }
    }
    if !arguments.json {
        say!("{}, {} {}", gpu.info.name, gpu.info.driver, gpu.info.driver_info);
        say!("{}", table.text().trim_end());
        say!("{}", summary(&found, start.elapsed().as_secs_f64()));
    }
    Ok(())
}
