//! The pages in `docs/reference/` are written from the program's own tables. To write them anew:
//! `VELOGRAD_WRITE_REFERENCE=1 cargo test --release --test suite -- book::reference`.

mod commands;
mod models;
mod optimizers;
mod recipes;
mod settings;

use std::{fmt::Write as _, fs, path::Path};

use super::ROOT;

/// The first line of every page: who changes it by hand loses the change.
const NOTE: &str = "<!-- Written by a test, see tests/book/reference.rs. -->\n\n";

/// Every page: its path below `docs/reference/`, and its text.
fn pages() -> Vec<(String, String)> {
    let mut pages = commands::pages();
    pages.push(("settings.md".into(), settings::page()));
    pages.push(("optimizers.md".into(), optimizers::page()));
    pages.push(("models.md".into(), models::page()));
    pages.push(("recipes.md".into(), recipes::page()));
    pages
}

#[test]
fn the_reference_is_what_the_program_says() {
    let folder = Path::new(ROOT).join("docs/reference");
    let writes = std::env::var("VELOGRAD_WRITE_REFERENCE").is_ok_and(|value| value == "1");
    let pages = pages();
    if writes {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("commands")).unwrap();
        pages.iter().for_each(|(path, text)| fs::write(folder.join(path), format!("{NOTE}{text}")).unwrap());
    }
    let hint = "VELOGRAD_WRITE_REFERENCE=1 cargo test --release --test suite -- book::reference writes the pages anew";
    for (path, text) in &pages {
        let committed = fs::read_to_string(folder.join(path)).unwrap_or_default().replace('\r', "");
        let expected = format!("{NOTE}{text}");
        let mut lines = expected.lines().zip(committed.lines());
        let differing = lines.find(|(expected, committed)| expected != committed);
        assert!(committed == expected, "docs/reference/{path} is out of date; {hint}\nfirst difference: {differing:?}");
    }
    let count = ["", "commands"].iter().flat_map(|sub| fs::read_dir(folder.join(sub)).unwrap()).count();
    assert_eq!(count, pages.len() + 1, "docs/reference/ has files that no page is; {hint}");
}

/// Text for a cell of a table or a paragraph: characters that Markdown would take for markup are escaped, except for the signs around
/// code.
fn plain(text: &str) -> String {
    let (mut out, mut code) = (String::new(), false);
    for c in text.chars() {
        code ^= c == '`';
        if c == '|' || (!code && matches!(c, '<' | '>' | '*' | '_' | '[' | ']' | '~' | '\\')) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A table; the cells are Markdown.
fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut out = format!("| {} |\n|{}\n", header.join(" | "), "---|".repeat(header.len()));
    for row in rows {
        writeln!(out, "| {} |", row.join(" | ")).unwrap();
    }
    out
}
