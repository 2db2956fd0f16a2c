//! A page that shows an experiment: one HTML file that needs no other file and no network.

use crate::{
    host::{
        identity,
        run::{Recipe, to_toml},
    },
    lab::{
        experiment::{Ended, Variant},
        figure::{Figure, escape},
    },
    training::Score,
};

const STYLE: &str = "
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, 'Noto Sans', Helvetica, Arial, sans-serif; color: #222; background: #fff;
       max-width: 84rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
.lead { font-size: 1.1rem; } .note { color: #555; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.93rem; }
th, td { text-align: left; padding: 0.3rem 0.8rem 0.3rem 0; border-bottom: 1px solid #ddd; white-space: nowrap; }
th { border-bottom-color: #888; vertical-align: bottom; }
svg { max-width: 100%; height: auto; }
pre { background: #f6f6f6; padding: 0.8rem; overflow-x: auto; font-size: 0.85rem; }
";

/// A page under construction.
pub struct Page {
    title: String,
    /// Seconds after which a browser loads the page anew.
    reload: Option<u32>,
    body: String,
}

impl Page {
    /// An empty page.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), reload: None, body: format!("<h1>{}</h1>\n", escape(title)) }
    }

    /// The page of something that goes on: a browser loads it anew after so many seconds.
    #[must_use]
    pub fn reloading(self, seconds: u32) -> Self {
        Self { reload: Some(seconds), ..self }
    }

    /// Adds the main result, in larger type.
    pub fn lead(&mut self, text: &str) {
        self.body += &format!("<p class=\"lead\">{}</p>\n", escape(text));
    }

    /// Adds a heading.
    pub fn heading(&mut self, text: &str) {
        self.body += &format!("<h2>{}</h2>\n", escape(text));
    }

    /// Adds a remark on what stands above it.
    pub fn note(&mut self, text: &str) {
        self.body += &format!("<p class=\"note\">{}</p>\n", escape(text));
    }

    /// Adds a list.
    pub fn list(&mut self, lines: &[String]) {
        let items: String = lines.iter().map(|l| format!("<li>{}</li>\n", escape(l))).collect();
        self.body += &format!("<ul>\n{items}</ul>\n");
    }

    /// Adds a text with its own line breaks.
    pub fn preformatted(&mut self, text: &str) {
        self.body += &format!("<pre>{}</pre>\n", escape(text));
    }

    /// Adds a table, which scrolls if the window is too narrow for it.
    pub fn table(&mut self, table: &crate::lab::table::Table) {
        self.body += &format!("<div class=\"wide\">\n{}</div>\n", table.html());
    }

    /// Adds a figure, drawn in the page itself.
    pub fn figure(&mut self, figure: &Figure) {
        self.body += &format!("<figure style=\"margin: 0\">\n{}</figure>\n", figure.drawing().svg());
    }

    /// Adds what is needed to repeat the experiment: device, data, each optimizer's settings, the recipe.
    pub fn provenance(&mut self, variants: &[Variant], runs: &[Ended], recipe: &Recipe) {
        self.heading("Settings");
        for variant in variants {
            let Some(run) = runs.iter().find(|run| run.label == variant.label) else { continue };
            let settings = run.run["settings"].as_object().into_iter().flatten();
            let settings: Vec<String> =
                settings.map(|(key, value)| format!("{key}={}", value.to_string().trim_matches('"'))).collect();
            self.body += &format!("<p><b>{}</b>: {}</p>\n", escape(&variant.label), escape(&settings.join(", ")));
        }
        let score = runs.first().map(|run| Score::of_run(&run.run)).unwrap_or_default();
        let unit = if score == Score::Accuracy { "images" } else { "blocks" };
        self.note(&format!(
            "Every run started from the same initial weights and saw the {unit} in the same order, per seed."
        ));
        self.heading("Device and data");
        let mut facts = Vec::new();
        for run in runs {
            let text = |key: &str| run.run[key].as_str().unwrap_or_default().to_owned();
            let fact = format!("{}, {}, driver {}", text("device"), text("backend"), text("driver"));
            for fact in [fact, identity::in_words(&run.run)] {
                if !facts.contains(&fact) {
                    facts.push(fact);
                }
            }
        }
        facts.extend(runs.first().map(|run| {
            let data = &run.run["dataset"];
            let [train, test] = ["train", "test"].map(|key| data[key].as_u64().unwrap_or(0));
            let [name, checksum] = ["name", "crc32"].map(|key| data[key].as_str().unwrap_or_default());
            format!("{name}: {train} training {unit}, {test} validation {unit}, checksum {checksum}")
        }));
        self.list(&facts);
        self.heading("Recipe");
        self.preformatted(&to_toml(
            &recipe.iter().filter(|(key, _)| *key != "data").map(|(k, v)| (k.clone(), v.clone())).collect(),
        ));
        self.note("Each run's folder holds config.toml, which makes that run again.");
    }

    /// The complete HTML.
    pub fn html(&self) -> String {
        let reload = |seconds| format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">\n");
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             {}<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
            self.reload.map_or_else(String::new, reload),
            escape(&self.title),
            self.body
        )
    }
}
