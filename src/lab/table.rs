//! A table, for a terminal, for Markdown and for a page.

use crate::lab::figure::escape;

/// Cells of text; every row is as long as the header.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// What the columns are.
    pub header: Vec<String>,
    /// From the top down.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Columns padded to the same width.
    pub fn text(&self) -> String {
        let lines = || std::iter::once(&self.header).chain(&self.rows);
        let width = |column: usize| lines().map(|r| r[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        lines().map(line).collect()
    }

    /// A Markdown table.
    pub fn markdown(&self) -> String {
        let cell = |text: &String| text.replace('\n', " ").replace('|', "\\|");
        let line = |row: &Vec<String>| format!("| {} |\n", row.iter().map(cell).collect::<Vec<_>>().join(" | "));
        let rule = vec!["---".to_owned(); self.header.len()];
        line(&self.header) + &line(&rule) + &self.rows.iter().map(line).collect::<String>()
    }

    /// An HTML table.
    pub fn html(&self) -> String {
        let cells = |row: &[String], tag: &str| -> String {
            row.iter().map(|c| format!("<{tag}>{}</{tag}>", escape(c))).collect()
        };
        let body: String = self.rows.iter().map(|r| format!("<tr>{}</tr>\n", cells(r, "td"))).collect();
        format!("<table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n", cells(&self.header, "th"))
    }
}
