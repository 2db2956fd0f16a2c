//! What a network says of images, as lines of a table, as CSV, and as JSON.

use serde::Serialize;

use super::plain::plain;

/// Characters of the column of probabilities.
const PROBABILITY: usize = 11;
/// Characters of a class where there is little room.
const CLASS: usize = 30;

/// What is said of one image.
pub struct Prediction {
    /// The name of its file.
    pub file: String,
    /// The probability of each class, or why there is none.
    pub outcome: Result<Vec<f64>, String>,
}

/// A class and its probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Likely<'a> {
    /// The name of the class.
    pub class: &'a str,
    /// From 0 to 1.
    pub probability: f64,
}

/// A [`Prediction`] with the likeliest classes alone, for JSON.
#[derive(Serialize)]
pub struct Said<'a> {
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<Vec<Likely<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl Prediction {
    /// Its likeliest `most` classes, the likeliest first, and of equally likely ones the first; none without an outcome.
    pub fn likeliest<'a>(&self, classes: &'a [String], most: usize) -> Vec<Likely<'a>> {
        let mut all: Vec<Likely<'_>> = self.outcome.iter().flatten().zip(classes).map(Likely::from).collect();
        all.sort_by(|a, b| b.probability.total_cmp(&a.probability));
        all.truncate(most);
        all
    }

    /// Its likeliest classes as JSON has them.
    pub fn said<'a>(&'a self, classes: &'a [String], most: usize) -> Said<'a> {
        let likely = self.outcome.is_ok().then(|| self.likeliest(classes, most));
        Said { file: &self.file, classes: likely, error: self.outcome.as_ref().err().map(String::as_str) }
    }
}

impl<'a> From<(&f64, &'a String)> for Likely<'a> {
    fn from((&probability, class): (&f64, &'a String)) -> Self {
        Self { class, probability }
    }
}

/// Predictions as CSV: the file, the likeliest class and its probability, and then a column with the probability of each class.
/// Cells are empty where there is none.
pub struct Csv<'a> {
    classes: &'a [String],
    writer: csv::Writer<Vec<u8>>,
}

impl<'a> Csv<'a> {
    /// A table that has its header.
    pub fn new(classes: &'a [String]) -> Self {
        let mut table = Self { classes, writer: csv::Writer::from_writer(vec![]) };
        table.record(["file", "class", "probability"].into_iter().map(str::to_owned).chain(classes.iter().cloned()));
        table
    }

    /// Adds a row. Of equally likely classes the first is the likeliest.
    pub fn add(&mut self, Prediction { file, outcome }: &Prediction) {
        let all = outcome.as_deref().unwrap_or_default();
        let better = |best: usize, (nth, share): (usize, &f64)| if *share > all[best] { nth } else { best };
        let best = (!all.is_empty()).then(|| all.iter().enumerate().fold(0, better));
        let class = best.map_or(String::new(), |best| self.classes[best].clone());
        let share = best.map_or(String::new(), |best| all[best].to_string());
        let shares = (0..self.classes.len()).map(|nth| all.get(nth).map_or(String::new(), f64::to_string));
        self.record([file.clone(), class, share].into_iter().chain(shares));
    }

    fn record(&mut self, cells: impl Iterator<Item = String>) {
        self.writer.write_record(cells).expect("rows are as long as the header");
    }

    /// The text.
    pub fn finish(self) -> Vec<u8> {
        self.writer.into_inner().expect("writing to memory")
    }
}

/// The columns of a table, whose rows are printed as they come.
pub struct Columns {
    file: usize,
    class: usize,
}

impl Columns {
    /// Columns for these names in lines of at most `limit` characters, if that has room for a few of each. `format!` pads to
    /// at most 65,535 of them.
    pub fn new<'a>(files: impl Iterator<Item = &'a str>, classes: &[String], limit: usize) -> Self {
        let room = limit.min(u16::MAX.into()).saturating_sub(PROBABILITY + 4).max(8);
        let longest = |lengths: &mut dyn Iterator<Item = usize>, title: &str| lengths.fold(title.len(), usize::max);
        let file = longest(&mut files.map(length), "file");
        let class = longest(&mut classes.iter().map(|class| length(class)), "class");
        // What one column does not need is the other's.
        let class = class.min(room.saturating_sub(file).max(CLASS.min(room / 2)));
        Self { file: file.min(room - class.min(room)), class }
    }

    /// The titles.
    pub fn header(&self) -> String {
        self.line("file", "class", "probability")
    }

    /// A line for each class; the first one has the file.
    pub fn lines(&self, file: &str, likely: &[Likely<'_>]) -> Vec<String> {
        let line = |(nth, Likely { class, probability }): (usize, &Likely<'_>)| {
            self.line(if nth == 0 { file } else { "" }, class, &format!("{:.2} %", 100.0 * probability))
        };
        likely.iter().enumerate().map(line).collect()
    }

    fn line(&self, file: &str, class: &str, probability: &str) -> String {
        let Self { file: wide, class: narrow } = *self;
        let (file, class) = (end(&plain(file, &[]), wide), start(&plain(class, &[]), narrow));
        format!("{file:<wide$}  {class:<narrow$}  {probability:>PROBABILITY$}")
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// The end of a text, which tells files apart.
fn end(text: &str, most: usize) -> String {
    let over = length(text).saturating_sub(most);
    if over == 0 { text.to_owned() } else { "…".chars().chain(text.chars().skip(over + 1)).collect() }
}

/// The start of a text.
fn start(text: &str, most: usize) -> String {
    if length(text) <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes() -> Vec<String> {
        ["cat", "a long name of a class, with a comma in it", "dog"].map(str::to_owned).to_vec()
    }

    fn prediction(file: &str, outcome: Result<Vec<f64>, String>) -> Prediction {
        Prediction { file: file.into(), outcome }
    }

    #[test]
    fn the_likeliest_come_first() {
        let classes = classes();
        let likely = prediction("a", Ok(vec![0.25, 0.5, 0.25]));
        let names =
            |most| likely.likeliest(&classes, most).iter().map(|l| l.class.chars().next().unwrap()).collect::<String>();
        assert_eq!((names(2), names(9), names(0)), ("ac".into(), "acd".into(), String::new()));
        let json = serde_json::to_value(likely.said(&classes, 1)).unwrap();
        assert_eq!((&json["classes"][0]["probability"], json.get("error")), (&0.5.into(), None));
        let failed = serde_json::to_value(prediction("b", Err("damage".into())).said(&classes, 1)).unwrap();
        assert_eq!(failed, serde_json::json!({"file": "b", "error": "damage"}));
    }

    #[test]
    fn a_table_for_other_programs() {
        let all = [prediction("a\"b.png", Ok(vec![0.125, 0.25, 0.625])), prediction("c.png", Err("damage".into()))];
        let text = "file,class,probability,cat,\"a long name of a class, with a comma in it\",dog\n\
                    \"a\"\"b.png\",dog,0.625,0.125,0.25,0.625\nc.png,,,,,\n";
        let classes = classes();
        let mut table = Csv::new(&classes);
        all.iter().for_each(|prediction| table.add(prediction));
        assert_eq!(String::from_utf8(table.finish()).unwrap(), text);
    }

    /// Lines are as long as each other, and as the limit where names are long.
    #[test]
    fn lines_fit_a_terminal() {
        let classes = classes();
        let long = format!("{}/x\n.png", "folder".repeat(20));
        for (file, limit) in
            [("a.png", 80), (&long[..], 80), (&long, 40), (&long, 24), ("a.png", 24), (&long, usize::MAX)]
        {
            let columns = Columns::new([file].into_iter(), &classes, limit);
            let likely = prediction(file, Ok(vec![0.25, 1.0, 0.0])).likeliest(&classes, 3);
            let mut lines = columns.lines(file, &likely);
            lines.insert(0, columns.header());
            let lengths: Vec<usize> = lines.iter().map(|line| length(line)).collect();
            assert!(
                lengths.iter().all(|len| *len == lengths[0] && *len <= limit),
                "{limit} {lengths:?}\n{}",
                lines.join("\n")
            );
            assert!(lines[1].ends_with("100.00 %") && lines[2].trim_start().starts_with('c'), "{}", lines.join("\n"));
            assert!(lines[1].contains("png  ") && !lines[1].contains('\n'), "{}", lines[1]);
        }
    }
}
