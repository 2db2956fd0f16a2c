use std::{collections::HashMap, fs, path::Path};

use pulldown_cmark::{Event, Tag, TagEnd};

use super::{CONTENTS, Page, ROOT, pages};
use crate::no_gpu::sources::files_with;

/// The anchors of a page's headings, which mdBook and code hosts make in the same way.
fn anchors(page: &Page) -> Vec<String> {
    let (mut anchors, mut seen) = (vec![], HashMap::<String, usize>::new());
    let mut heading: Option<String> = None;
    for event in page.events() {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let title = heading.take().unwrap().to_lowercase();
                let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
                let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
                let count = seen.entry(anchor.clone()).or_default();
                anchors.push(if *count == 0 { anchor } else { format!("{anchor}-{count}") });
                *count += 1;
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(title) = &mut heading {
                    title.push_str(&text);
                }
            }
            _ => {}
        }
    }
    anchors
}

/// Every link within the project leads to a file that the site has too, and to a heading of it if it names one.
#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let script = fs::read_to_string(format!("{ROOT}/scripts/site.sh")).unwrap();
    let files = script.lines().find_map(|line| line.strip_prefix("files=\"")?.strip_suffix('"')).unwrap();
    let on_site = |path: &str| files.split(' ').any(|file| Path::new(path).starts_with(file));
    let anchors: HashMap<&str, Vec<String>> = pages.iter().map(|page| (page.path.as_str(), anchors(page))).collect();
    let (mut seen, mut faults) = (0, vec![]);
    for page in pages.iter().chain([&Page::read(CONTENTS)]) {
        for link in page.links().iter().filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(f, a)| (f, Some(a)));
            let target = if file.is_empty() { page.path.clone() } else { page.path_to(file) };
            let there = Path::new(ROOT).join(&target).is_file();
            let page_too = !target.ends_with(".md") || anchors.contains_key(target.as_str());
            let heading =
                anchor.is_none_or(|anchor| anchors.get(target.as_str()).is_some_and(|a| a.iter().any(|a| a == anchor)));
            for (holds, fault) in [
                (there, "there is no such file"),
                (on_site(&target), "scripts/site.sh does not take the file along"),
                (page_too, "the page is not in the contents"),
                (heading, "the page has no such heading"),
            ] {
                if !holds {
                    faults.push(format!("{}: ({link}): {fault}", page.path));
                    break;
                }
            }
            seen += 1;
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 100, "{seen} links");
}

/// Every page in `docs/` is in the contents.
#[test]
fn every_page_is_in_the_contents() {
    let (mut found, top) = (vec![], format!("{ROOT}/").replace('\\', "/"));
    files_with("md", &Path::new(ROOT).join("docs"), &mut found);
    let mut found: Vec<&str> = found.iter().map(|(path, _)| path.strip_prefix(&top).unwrap()).collect();
    let pages = pages();
    let listed = |path: &str| path == CONTENTS || pages.iter().any(|page| page.path == path);
    // What an experiment wrote is no page: its table is in the text of docs/results/README.md.
    found.retain(|path| !listed(path) && !path.ends_with("/table.md"));
    assert!(found.is_empty(), "not in {CONTENTS}: {found:?}");
}
