//! A confusion matrix as a table.

use crate::lab::table::Table;

/// Characters of a class's name that fit above its column.
const HEADING: usize = 5;

/// Characters of a class's name that fit beside its row.
const NAME: usize = 10;

/// A row per true class and a column per predicted class, with counts of images; `confusion` is `[label][prediction]`.
/// Names are cut to as many letters as let ten classes fit a terminal of 80 columns.
pub fn table(confusion: &[Vec<u64>], classes: &[String]) -> Table {
    let heading = |name: &String| name.chars().take(HEADING).collect::<String>();
    let header = std::iter::once(String::new()).chain(classes.iter().map(heading)).collect();
    let row = |(name, counts): (&String, &Vec<u64>)| {
        let counts = counts.iter().map(|count| format!("{count:>HEADING$}"));
        std::iter::once(name.chars().take(NAME).collect()).chain(counts).collect()
    };
    Table { header, rows: classes.iter().zip(confusion).map(row).collect() }
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_have_names_and_fit_a_terminal() {
        let classes = "airplane automobile bird cat deer dog frog horse ship truck".split(' ').map(str::to_owned);
        let classes: Vec<String> = classes.collect();
        let counts: Vec<Vec<u64>> =
            (0..10).map(|i| (0..10).map(|j| if i == j { 10_000 } else { j }).collect()).collect();
        let text = table(&counts, &classes).text_within(80);
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
        assert_eq!(header, ["airpl", "autom", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]);
        assert_eq!(lines.next().unwrap().split_whitespace().next(), Some("airplane"));
        assert!(text.lines().all(|line| line.chars().count() <= 80) && text.lines().count() == 11, "{text}");
    }
}
