//! What a command that compares runs has to say: which runs there are, and what is shown of them.

use std::path::Path;

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        flags::{Flags, experiment::ExperimentFlags},
        print::{self, say},
    },
    error::Result,
    host::{files::write_atomically, run::Recipe},
    lab::{
        experiment::{Design, Ended, Variant},
        figure::Figure,
        report::Page,
        table::Table,
    },
    training::Score,
};

/// The flags of a command that compares runs.
pub trait Compares: Flags {
    /// The flags that name update rules.
    type Rules: Args + Default + Clone + Serialize;

    /// The flags that all such commands have.
    fn experiment(&self) -> &ExperimentFlags<Self::Rules>;

    /// The variants that are compared, and what is shown of them, given the target accuracy.
    ///
    /// # Errors
    /// [`Error::Config`](crate::error::Error::Config) for an unknown rule or setting.
    fn compared(&self, target: Option<f64>) -> Result<Compared>;
}

/// What an experiment runs, and what it shows.
pub struct Compared {
    pub variants: Vec<Variant>,
    /// The lines that state the settings of the variants.
    pub lines: Box<dyn Fn() -> Result<Vec<String>>>,
    pub show: Show,
}

/// Builds what is shown.
pub type Show = Box<dyn Fn(&Results<'_>) -> Result<Shown>>;

/// The runs of an experiment so far.
pub struct Results<'a> {
    pub design: &'a Design,
    /// What all runs have in common.
    pub recipe: &'a Recipe,
    /// The runs that have ended.
    pub runs: &'a [Ended],
    /// A row per run that has not.
    pub unfinished: Table,
}

impl Results<'_> {
    /// What the runs are judged by; accuracy as long as none has ended.
    pub fn score(&self) -> Score {
        self.runs.first().map(|run| Score::of_run(&run.run)).unwrap_or_default()
    }

    /// Ends a page with the runs that have not ended, settings, device, data and recipe.
    pub fn end(&self, page: &mut Page) {
        if !self.unfinished.rows.is_empty() {
            page.heading(UNFINISHED);
            page.table(&self.unfinished);
        }
        page.provenance(&self.design.variants, self.runs, self.recipe);
    }
}

/// The heading of the runs that have not ended.
const UNFINISHED: &str = "Unfinished runs";

/// What an experiment shows: a table and lines for the terminal, and files beside the runs.
pub struct Shown {
    table: Table,
    lines: Vec<String>,
    unfinished: Table,
    files: Vec<(String, Vec<u8>)>,
}

impl Shown {
    pub fn new(table: Table, lines: Vec<String>, results: &Results<'_>) -> Self {
        Self { table, lines, unfinished: results.unfinished.clone(), files: vec![] }
    }

    pub fn file(&mut self, name: &str, content: impl Into<Vec<u8>>) {
        self.files.push((name.to_owned(), content.into()));
    }

    /// Adds `table.md`, `table.csv` and `table.json`.
    pub fn table(&mut self, table: &Table, remarks: &[String], csv: String, json: &serde_json::Value) {
        let remarks: String = remarks.iter().map(|line| format!("- {line}\n")).collect();
        let unfinished = match self.unfinished.rows.is_empty() {
            true => String::new(),
            false => format!("\n{UNFINISHED}:\n\n{}", self.unfinished.markdown()),
        };
        self.file("table.md", format!("{}\n{remarks}{unfinished}", table.markdown()));
        self.file("table.csv", csv);
        self.file("table.json", serde_json::to_string_pretty(json).unwrap_or_default() + "\n");
    }

    /// Adds `NAME.svg` and `NAME.png`.
    pub fn figure(&mut self, name: &str, figure: &Figure) -> Result<()> {
        let drawing = figure.drawing();
        self.file(&format!("{name}.png"), drawing.png()?);
        self.file(&format!("{name}.svg"), drawing.svg());
        Ok(())
    }

    /// Writes the files to the experiment's folder.
    pub fn write(&self, out: &Path) -> Result<()> {
        self.files.iter().try_for_each(|(name, bytes)| write_atomically(&out.join(name), bytes))
    }

    /// Prints tables and lines, and which files were written.
    pub fn print(&self, out: &Path) {
        say!("");
        print::table(&self.table);
        self.lines.iter().for_each(|line| say!("{line}"));
        if !self.unfinished.rows.is_empty() {
            say!("");
            say!("{UNFINISHED}:");
            print::table(&self.unfinished);
        }
        let names: Vec<&str> = self.files.iter().map(|(name, _)| name.as_str()).collect();
        say!("wrote {} to {}", names.join(", "), out.display());
    }
}
