//! A table, for terminals, spreadsheets, Markdown and HTML.

use crate::lab::figure::escape;

/// Cells of text; every row is as long as the header.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// The titles of the columns.
    pub header: Vec<String>,
    /// The rows, from the top down.
    pub rows: Vec<Vec<String>>,
}

/// A number as a cell of [`Table::csv`]; the cell is empty if there is none, or it is not finite.
pub fn csv_number(value: Option<f64>) -> String {
    value.filter(|value| value.is_finite()).map_or(String::new(), |value| value.to_string())
}

impl Table {
    /// The table as text, with columns padded to their width, in lines of any length.
    pub fn text(&self) -> String {
        self.text_within(usize::MAX)
    }

    /// The table as text, with columns padded to their width. If the columns do not fit into lines of `limit`
    /// characters, they are set in blocks below each other, each of which begins with the first column; only a first
    /// column and another one that are too wide together make a longer line.
    pub fn text_within(&self, limit: usize) -> String {
        let lines = || std::iter::once(&self.header).chain(&self.rows);
        // `format!` pads to at most 65,535 characters.
        let width = |column: usize| lines().map(|r| r[column].chars().count()).max().unwrap_or(0).min(u16::MAX.into());
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let mut blocks: Vec<Vec<usize>> = vec![];
        let mut used = 0;
        for (column, width) in widths.iter().enumerate().skip(1) {
            if blocks.is_empty() || used + 2 + width > limit {
                blocks.push(vec![0]);
                used = widths[0];
            }
            blocks.last_mut().expect("a block was begun").push(column);
            used += 2 + width;
        }
        if blocks.is_empty() && !widths.is_empty() {
            blocks.push(vec![0]);
        }
        let line = |block: &Vec<usize>, row: &Vec<String>| {
            let cells = block.iter().map(|&column| format!("{:<width$}", row[column], width = widths[column]));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let block = |block: &Vec<usize>| lines().map(|row| line(block, row)).collect::<String>();
        blocks.iter().map(block).collect::<Vec<_>>().join("\n")
    }

    /// The table as CSV (RFC 4180): a cell with a comma, a quote or the end of a line in it is quoted.
    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(vec![]);
        for row in std::iter::once(&self.header).chain(&self.rows) {
            writer.write_record(row).expect("rows are as long as the header");
        }
        String::from_utf8(writer.into_inner().expect("writing to memory")).expect("cells are text")
    }

    /// The table in Markdown.
    pub fn markdown(&self) -> String {
        let cell = |text: &String| text.replace('\n', " ").replace('|', "\\|");
        let line = |row: &Vec<String>| format!("| {} |\n", row.iter().map(cell).collect::<Vec<_>>().join(" | "));
        let rule = vec!["---".to_owned(); self.header.len()];
        line(&self.header) + &line(&rule) + &self.rows.iter().map(line).collect::<String>()
    }

    /// The table in HTML.
    pub fn html(&self) -> String {
        let cells = |row: &[String], tag: &str| -> String {
            row.iter().map(|c| format!("<{tag}>{}</{tag}>", escape(c))).collect()
        };
        let body: String = self.rows.iter().map(|r| format!("<tr>{}</tr>\n", cells(r, "td"))).collect();
        format!("<table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n", cells(&self.header, "th"))
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    fn table() -> Table {
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        Table {
            header: row(["name", "accuracy", "loss", "seconds"]),
            rows: vec![row(["adam", "45.1 ± 0.2", "1.5", "-"])],
        }
    }

    #[test]
    fn one_block_where_there_is_room() {
        let text = "name  accuracy    loss  seconds\nadam  45.1 ± 0.2  1.5   -\n";
        assert_eq!((table().text(), table().text_within(31)), (text.to_owned(), text.to_owned()));
    }

    #[test]
    fn blocks_that_fit_repeat_the_first_column() {
        let text = "name  accuracy    loss\nadam  45.1 ± 0.2  1.5\n\nname  seconds\nadam  -\n";
        assert_eq!(table().text_within(30), text);
        for limit in 0..40 {
            let text = table().text_within(limit);
            assert!(limit < 16 || text.lines().all(|line| line.chars().count() <= limit), "{limit}:\n{text}");
            for cell in ["accuracy", "45.1 ± 0.2", "loss", "1.5", "seconds"] {
                assert_eq!(text.matches(cell).count(), 1, "{limit}:\n{text}");
            }
        }
    }
}
