//! The documentation: its links lead somewhere, its commands work, and its reference is what the program says.

mod commands;
mod links;
mod reference;

use std::fs;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};

/// The folder of the project.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The contents, which list every page.
const CONTENTS: &str = "docs/SUMMARY.md";

/// A page: where it is, seen from the folder of the project, and its Markdown.
struct Page {
    path: String,
    text: String,
}

/// A fenced block of code.
struct Block {
    /// The language, then what a test has to know, as in `sh,download`.
    words: Vec<String>,
    text: String,
}

impl Page {
    fn read(path: &str) -> Self {
        let text = fs::read_to_string(format!("{ROOT}/{path}")).unwrap_or_else(|fault| panic!("{path}: {fault}"));
        Self { path: path.to_owned(), text }
    }

    fn events(&self) -> impl Iterator<Item = Event<'_>> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES)
    }

    /// The addresses of links and images.
    fn links(&self) -> Vec<String> {
        let address = |event| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.to_string()),
            _ => None,
        };
        self.events().filter_map(address).collect()
    }

    /// The fenced blocks, from the first to the last.
    fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = vec![];
        let mut inside = false;
        for event in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    let words = info.split(',').map(|word| word.trim().to_owned()).collect();
                    blocks.push(Block { words, text: String::new() });
                    inside = true;
                }
                Event::Text(text) if inside => blocks.last_mut().unwrap().text.push_str(&text),
                Event::End(pulldown_cmark::TagEnd::CodeBlock) => inside = false,
                _ => {}
            }
        }
        blocks
    }

    /// The path, from the folder of the project, of a file that this page names by a path from its own folder.
    fn path_to(&self, target: &str) -> String {
        let mut parts: Vec<&str> = self.path.split('/').collect();
        parts.pop();
        for part in target.split('/').filter(|part| !matches!(*part, "" | ".")) {
            match part {
                ".." => {
                    drop(parts.pop().unwrap_or_else(|| panic!("{}: {target} is outside of the project", self.path)))
                }
                _ => parts.push(part),
            }
        }
        parts.join("/")
    }
}

/// Every page, in the order of the contents.
fn pages() -> Vec<Page> {
    let contents = Page::read(CONTENTS);
    let pages: Vec<Page> = contents.links().iter().map(|link| Page::read(&contents.path_to(link))).collect();
    assert!(pages.len() > 20, "{CONTENTS} has {} pages", pages.len());
    pages
}
