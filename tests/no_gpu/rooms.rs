//! The rooms of `src/` and which may import from which, checked by the sources' own imports.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use syn::{
    punctuated::Punctuated,
    visit::{self, Visit},
};

/// The path of a module or an item below the crate.
type Names = Vec<String>;

/// The files and folders at the root of `src/`, each with its floor. A file may import from its own room and from lower
/// floors.
const ROOMS: [(&str, u32); 15] = [
    ("error", 0),
    ("random", 0),
    ("parallel", 0),
    ("settings", 1),
    ("program", 1),
    ("data", 1),
    ("device", 2),
    ("ops", 3),
    ("models", 4),
    ("optim", 4),
    ("training", 5),
    ("check", 6),
    ("host", 7),
    ("lab", 8),
    ("cli", 9),
];

/// The highest floor that builds for a browser.
const CORE: u32 = 6;

/// What the core may not use and leaves to the host.
const OF_THE_HOST: [&str; 7] =
    ["std::fs", "std::thread", "std::env", "std::process", "std::net", "std::time::Instant", "std::time::SystemTime"];

/// Modules that may not be imported whole, since what is used through their name would not be seen.
const NOT_WHOLE: [&str; 2] = ["std", "std::time"];

struct File {
    module: Names,
    /// Paths that begin at the crate, as written in the file.
    inside: BTreeSet<Names>,
    /// Paths that begin at another crate.
    outside: BTreeSet<Names>,
    /// What the file re-exports, by its name here.
    exports: BTreeMap<String, Names>,
}

/// Collects the paths in a file. Tests are left out: they may use anything.
struct Paths<'a> {
    file: &'a mut File,
    children: BTreeSet<String>,
}

impl Paths<'_> {
    fn note(&mut self, names: &[String]) -> Option<Names> {
        let module = self.file.module.clone();
        let path = match names.first().map(String::as_str) {
            Some("crate") => names[1..].to_vec(),
            Some("super") => {
                let up = names.iter().take_while(|name| *name == "super").count();
                [&module[..module.len().saturating_sub(up)], &names[up..]].concat()
            }
            Some("self") => [&module[..], &names[1..]].concat(),
            Some(first) if self.children.contains(first) => [&module[..], names].concat(),
            Some(_) => {
                self.file.outside.insert(names.to_vec());
                return None;
            }
            None => return None,
        };
        self.file.inside.insert(path.clone());
        Some(path)
    }

    fn tree(&mut self, before: &[String], tree: &syn::UseTree, public: bool) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree, public),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(before, tree, public)),
            syn::UseTree::Glob(_) => drop(self.note(before)),
            syn::UseTree::Name(name) if name.ident == "self" => drop(self.note(before)),
            syn::UseTree::Name(name) => self.leaf(&with(&name.ident), &name.ident, public),
            syn::UseTree::Rename(rename) => self.leaf(&with(&rename.ident), &rename.rename, public),
        }
    }

    fn leaf(&mut self, names: &[String], known_as: &syn::Ident, public: bool) {
        if let (Some(path), true) = (self.note(names), public) {
            self.file.exports.insert(known_as.to_string(), path);
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&[], &item.tree, !matches!(item.vis, syn::Visibility::Inherited));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.ident != "tests" {
            visit::visit_item_mod(self, item);
        }
    }

    /// Most macros take expressions. In the others, what looks like a path of the standard library counts as one.
    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        let list = Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        let tokens = item.tokens.to_string().replace(' ', "");
        let lone = |name: &&&str| tokens.contains(**name);
        let named = OF_THE_HOST.iter().filter(lone).map(|name| name.split("::").map(str::to_owned).collect());
        self.file.outside.extend(named.collect::<Vec<Names>>());
        if let Ok(expressions) = item.parse_body_with(list) {
            let mut inner = Paths { file: &mut *self.file, children: self.children.clone() };
            for expression in &expressions {
                inner.visit_expr(expression);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.note(&names);
        }
        visit::visit_path(self, path);
    }
}

fn read(folder: &Path, module: &[String], files: &mut Vec<File>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let below = [module, &[stem]].concat();
        if path.is_dir() {
            read(&path, &below, files);
            continue;
        }
        if path.extension().is_none_or(|e| e != "rs") || below == ["lib"] || below == ["main"] {
            continue;
        }
        let source = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
        let child = |item: &syn::Item| match item {
            syn::Item::Mod(item) => Some(item.ident.to_string()),
            _ => None,
        };
        let children = source.items.iter().filter_map(child).collect();
        let mut file =
            File { module: below, inside: BTreeSet::new(), outside: BTreeSet::new(), exports: BTreeMap::new() };
        Paths { file: &mut file, children }.visit_file(&source);
        files.push(file);
    }
}

fn sources() -> Vec<File> {
    let mut files = vec![];
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut files);
    assert!(files.len() > 100, "{} files", files.len());
    files
}

fn floor(module: &[String]) -> u32 {
    let room = ROOMS.iter().find(|(name, _)| *name == module[0]);
    room.unwrap_or_else(|| panic!("src/{} is no room: {ROOMS:?}", module[0])).1
}

/// The module that defines what a path names, found through re-exports.
fn home<'a>(files: &'a [File], path: &[String]) -> Option<&'a [String]> {
    let mut path = path.to_vec();
    for _ in 0..10 {
        let known = (1..=path.len()).rev().find_map(|len| files.iter().find(|file| file.module == path[..len]))?;
        let rest = &path[known.module.len()..];
        match rest.first().and_then(|name| known.exports.get(name)) {
            Some(further) => path = [&further[..], &rest[1..]].concat(),
            None => return Some(&known.module),
        }
    }
    panic!("{path:?} is handed on in a circle");
}

/// For each file, the files that it imports from.
fn arrows(files: &[File]) -> BTreeMap<&[String], BTreeSet<&[String]>> {
    let of = |file: &File| file.inside.iter().filter_map(|path| home(files, path)).collect::<BTreeSet<_>>();
    let mut arrows: BTreeMap<_, _> = files.iter().map(|file| (&file.module[..], of(file))).collect();
    for (from, to) in &mut arrows {
        to.remove(from);
    }
    arrows
}

fn text(module: &[String]) -> String {
    format!("src/{}.rs", module.join("/"))
}

#[test]
fn no_file_takes_from_a_higher_floor() {
    let files = sources();
    let mut wrong = vec![];
    for (from, to) in arrows(&files) {
        let higher = to.into_iter().filter(|to| to[0] != from[0] && floor(to) >= floor(from));
        wrong.extend(higher.map(|to| format!("{} takes from {}", text(from), text(to))));
    }
    // `lib.rs` re-exports for users of the library, from any room.
    for File { module, inside, .. } in &files {
        let handed_on =
            inside.iter().filter(|path| path.first().is_some_and(|name| ROOMS.iter().all(|room| room.0 != name)));
        wrong.extend(handed_on.map(|path| format!("{} takes crate::{}", text(module), path.join("::"))));
    }
    assert!(wrong.is_empty(), "arrows that run the wrong way:\n{}", wrong.join("\n"));
}

#[test]
fn the_device_alone_names_wgpu_and_the_core_has_no_files_threads_or_clock() {
    let mut wrong = vec![];
    for File { module, outside, .. } in &sources() {
        for path in outside.iter().map(|names| names.join("::")) {
            let begins = |with: &str| path == with || path.starts_with(&format!("{with}::"));
            let graphics = begins("wgpu") && module[0] != "device";
            let core = floor(module) <= CORE;
            let host = core && (OF_THE_HOST.iter().any(|with| begins(with)) || NOT_WHOLE.contains(&path.as_str()));
            if graphics || host {
                wrong.push(format!("{} names {path}", text(module)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// No two files need each other: they would be one file, or lack a third. A module and those inside it count as one.
#[test]
fn no_two_files_need_each_other() {
    let files = sources();
    let arrows = arrows(&files);
    let related = |a: &[String], b: &[String]| a.starts_with(b) || b.starts_with(a);
    let next =
        |from: &[String]| -> Vec<&[String]> { arrows[from].iter().copied().filter(|to| !related(from, to)).collect() };
    let reaches = |from: &[String], goal: &[String]| {
        let (mut seen, mut open) = (BTreeSet::new(), next(from));
        while let Some(at) = open.pop() {
            if at == goal {
                return true;
            }
            if seen.insert(at) {
                open.extend(next(at));
            }
        }
        false
    };
    let circular: Vec<String> = arrows.keys().filter(|file| reaches(file, file)).map(|file| text(file)).collect();
    assert!(circular.is_empty(), "these need themselves by way of others:\n{}", circular.join("\n"));
}
