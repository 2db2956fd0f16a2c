//! Checks what the WGSL of a rule contains. A rule is a function of one element: it has no bindings, no entry points,
//! no memory except its own variables, only loops whose end can be seen, and nothing that would take a compiler or a
//! device long.
//!
//! There are two checks. The first reads the tokens of the text before naga does: it keeps away from naga what could
//! exhaust the stack, and reports with line and column what a rule must not contain. The second reads naga's module, in
//! which no spelling can hide what a function accesses.

mod module;
mod scan;

pub use module::{module, names};
pub use scan::{characters, is_unfit};

use scan::{Token, scan};

use super::{
    Fault,
    header::{self, Header},
};
use crate::{
    error::suggest,
    program::shader::{Piece, Source, Spec, lines},
};

/// What the text of a rule reads and declares.
#[derive(Debug, Default)]
pub struct Uses {
    /// The names that follow `settings.`.
    pub settings: Vec<String>,
    /// The names that follow `at.`.
    pub update: Vec<String>,
    /// Whether weight decay is read.
    pub weight_decay: bool,
    /// The names in `measure`, and in the functions that it calls, that may be fields of an element.
    pub measured: Vec<String>,
    /// What is declared outside of functions: name, and line and column.
    pub declared: Vec<(String, (usize, usize))>,
}

/// The deepest nesting of brackets.
const DEEPEST: usize = 24;

/// The most tokens between two semicolons or braces: naga parses a chain of operators by recursion.
const MOST_WORDS: usize = 240;

/// The most times that `else` may stand in a file, for the same reason.
const MOST_ELSE: usize = 48;

/// The most iterations of a loop.
const MOST_TURNS: u32 = 64;

/// Checks the tokens of a rule's text after its `#unroll`s are expanded, and finds what the text reads and declares.
pub fn tokens(file: &str, text: &str, header: &Header) -> Result<Uses, Fault> {
    let piece = Piece { file: file.to_owned(), text: text.to_owned(), foreign: true };
    let source = Some(std::sync::Arc::new(Source { pieces: vec![piece] }));
    let expanded = lines(&Spec { source, ..Spec::new("rule") }).map_err(|fault| {
        let place = fault.place.map_or((1, 1), |(_, line, column)| (line, column));
        Fault::new(place, fault.message)
    })?;
    let own = expanded.iter().filter(|(_, from, _)| from == file);
    let tokens = scan(own.map(|(text, _, line)| (*line, text.as_str())))?;
    words(&tokens)?;
    shape(&tokens)?;
    loops(&tokens)?;
    let mut uses = uses(&tokens, header)?;
    uses.measured = measured(&tokens);
    functions(&tokens, header)?;
    unread(&tokens, header)?;
    Ok(uses)
}

/// WGSL's derivatives, which compare an invocation with its neighbours in a rendered picture.
const PICTURES: [&str; 9] =
    ["dpdx", "dpdxCoarse", "dpdxFine", "dpdy", "dpdyCoarse", "dpdyFine", "fwidth", "fwidthCoarse", "fwidthFine"];

/// Refuses keywords, functions and signs that a rule must not use.
fn words(tokens: &[Token<'_>]) -> Result<(), Fault> {
    for token in tokens {
        let why = match token.text {
            "@" => "a rule has no attributes, no bindings and no entry points: the linker writes them",
            "loop" | "while" => {
                "the end of a `loop` or `while` cannot be seen: `for (var i = 0; i < 8; i++)` and `#unroll i 8` can"
            }
            "override" | "enable" | "requires" | "diagnostic" => "a rule has no directives and no overrides",
            "discard" => "there is nothing to discard",
            word if PICTURES.contains(&word) => "there are no neighbours: a rule sees an element",
            "workgroup" | "storage" | "private" | "uniform" => {
                "a rule has no memory but variables of its functions, and [state]"
            }
            _ => continue,
        };
        return Err(Fault::new(token.place, format!("`{}`: {why}", token.text)));
    }
    Ok(())
}

/// Bounds what naga parses by recursion: nested brackets, long statements and chains of `else`.
fn shape(tokens: &[Token<'_>]) -> Result<(), Fault> {
    let (mut depth, mut run, mut elses) = (0_usize, 0, 0);
    for token in tokens {
        run += 1;
        match token.text {
            "(" | "[" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "{" => (depth, run) = (depth + 1, 0),
            "}" => (depth, run) = (depth.saturating_sub(1), 0),
            ";" => run = 0,
            "else" => elses += 1,
            _ => {}
        }
        let fault = |message: String| Err(Fault::new(token.place, message));
        if depth > DEEPEST {
            return fault(format!("brackets are nested more than {DEEPEST} deep"));
        }
        if run > MOST_WORDS {
            return fault(format!("a statement of more than {MOST_WORDS} words"));
        }
        if elses > MOST_ELSE {
            return fault(format!("more than {MOST_ELSE} times `else`"));
        }
    }
    Ok(())
}

/// Checks that each loop counts from a number to a number, and that its body does not change the counter.
fn loops(tokens: &[Token<'_>]) -> Result<(), Fault> {
    for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.text == "for") {
        let rest: Vec<&str> = tokens[at + 1..].iter().take(17).map(|token| token.text).collect();
        // `var i: u32 = 0` is read as `var i = 0`.
        let typed = matches!(rest[..], ["(", "var", _, ":", "u32" | "i32", ..]);
        let parts: Vec<&str> = if typed { [&rest[..3], &rest[5..]].concat() } else { rest };
        let number = |text: &str| text.trim_end_matches(['u', 'i']).parse::<u32>().ok();
        let (name, turns) = match parts[..] {
            ["(", "var", i, "=", from, ";", j, sign @ ("<" | "<="), to, ";", k, "++", ")", "{", ..]
                if i == j && j == k =>
            {
                let turns = number(from)
                    .zip(number(to))
                    .map(|(from, to)| to.saturating_add(u32::from(sign == "<=")).saturating_sub(from));
                (i, turns)
            }
            _ => ("", None),
        };
        if turns.is_none_or(|turns| turns > MOST_TURNS) {
            let message = format!(
                "a loop is `for (var i = 0; i < 8; i++) {{ ... }}`, with numbers, of at most {MOST_TURNS} turns"
            );
            return Err(Fault::new(token.place, message));
        }
        let open = at + tokens[at..].iter().position(|token| token.text == "{").expect("it was just matched");
        let mut depth = 0;
        for (i, token) in tokens.iter().enumerate().skip(open) {
            match token.text {
                "{" => depth += 1,
                "}" => depth -= 1,
                text if text == name && changes(tokens, i) => {
                    return Err(Fault::new(
                        token.place,
                        format!("`{name}` counts the turns of a loop, and is changed here"),
                    ));
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    Ok(())
}

/// Whether the variable named by token `at` is assigned to there, or its address is taken. If that cannot be told, the
/// answer is yes.
fn changes(tokens: &[Token<'_>], at: usize) -> bool {
    let behind = tokens[at + 1..].iter().map(|token| token.text).find(|text| *text != ")").unwrap_or_default();
    let before = tokens[..at].iter().rev().map(|token| token.text).find(|text| *text != "(").unwrap_or_default();
    let assigns =
        behind == "=" || (behind.len() > 1 && behind.ends_with('=') && !["==", "!=", "<=", ">="].contains(&behind));
    assigns || behind == "++" || behind == "--" || before == "&"
}

/// Finds what the text reads of the settings and of the update, and what it declares.
fn uses(tokens: &[Token<'_>], header: &Header) -> Result<Uses, Fault> {
    let mut uses = Uses::default();
    let mut depth = 0;
    let keep = |list: &mut Vec<String>, name: &str| {
        if !list.iter().any(|known| known == name) {
            list.push(name.to_owned());
        }
    };
    let numbers = header.settings.iter().filter(|s| header::constants_of(s).is_empty()).map(|s| s.key.as_str());
    let numbers: Vec<&str> = numbers.filter(|key| !["lr", "weight_decay"].contains(key)).collect();
    let mut update: Vec<&str> = header::UPDATE.to_vec();
    // `measure` runs before the gradient's norm is known.
    update.retain(|name| *name != "grad_norm" || header.measure.is_none());
    update.extend(header.scalars.iter().map(|s| s.name.as_str()).chain(header.kept.iter().map(|k| k.name.as_str())));
    for (i, token) in tokens.iter().enumerate() {
        let behind = |n: usize| tokens.get(i + n);
        match token.text {
            "{" => depth += 1,
            "}" => depth -= 1,
            "fn" | "struct" | "const" | "alias" if depth == 0 => {
                if let Some(name) = behind(1) {
                    uses.declared.push((name.text.to_owned(), name.place));
                }
            }
            "var" if depth == 0 => {
                let message =
                    "a variable outside of functions: a rule has no memory but variables of its functions, and [state]";
                return Err(Fault::new(token.place, message));
            }
            "." if behind(1).is_some_and(|field| field.text == "weight_decay") => uses.weight_decay = true,
            "settings" | "at" if behind(1).is_some_and(|dot| dot.text == ".") => {
                let Some(field) = behind(2).filter(|field| field.is_name()) else { continue };
                let (known, list, what) = match token.text {
                    "at" => (&update, &mut uses.update, "an update has no number"),
                    _ => (&numbers, &mut uses.settings, "there is no number among the settings called"),
                };
                if !known.contains(&field.text) {
                    let fault = Fault::new(field.place, format!("{what} `{}`", field.text));
                    return Err(match field.text {
                        "weight_decay" => {
                            fault.hint("it is `e.weight_decay`, which is 0 in a tensor that weight decay leaves out")
                        }
                        "lr" => fault.hint("the rate of an update is `at.lr`"),
                        "grad_norm" => fault.hint("a rule that measures can sum e.g * e.g itself"),
                        name if header.settings.iter().any(|s| s.key == name) => {
                            fault.hint("a flag is a constant in capitals, a choice a constant per word: NAME_WORD")
                        }
                        name => fault.hint(suggest::hint(name, known)),
                    });
                }
                keep(list, field.text);
            }
            _ => {}
        }
    }
    if uses.weight_decay && header.settings.iter().all(|s| s.key != "weight_decay") {
        let place = tokens.iter().find(|token| token.text == "weight_decay").map_or((1, 1), |token| token.place);
        return Err(Fault::new(place, "weight decay is read, and there is no such setting"));
    }
    Ok(uses)
}

/// The names that follow a `.` in `measure` and in the functions that it calls. A field of an element cannot be read in
/// any other way.
fn measured(tokens: &[Token<'_>]) -> Vec<String> {
    let starts: Vec<usize> = (0..tokens.len()).filter(|at| tokens[*at].text == "fn").collect();
    let ends = starts.iter().skip(1).copied().chain([tokens.len()]);
    let functions: Vec<&[Token<'_>]> = starts.iter().zip(ends).map(|(from, to)| &tokens[*from..to]).collect();
    let (mut waiting, mut seen, mut fields) = (vec!["measure"], Vec::new(), Vec::new());
    while let Some(name) = waiting.pop() {
        seen.push(name);
        for function in functions.iter().filter(|function| function.get(1).is_some_and(|token| token.text == name)) {
            for pair in function.windows(2) {
                let called = functions.iter().any(|f| f.get(1).is_some_and(|token| token.text == pair[1].text));
                if called && !seen.contains(&pair[1].text) && !waiting.contains(&pair[1].text) {
                    waiting.push(pair[1].text);
                }
                if pair[0].text == "." {
                    fields.push(pair[1].text.to_owned());
                }
            }
        }
    }
    fields
}

/// Refuses a setting that nothing reads, because setting it would silently do nothing.
fn unread(tokens: &[Token<'_>], header: &Header) -> Result<(), Fault> {
    let in_text = |name: &str| tokens.iter().any(|token| token.text == name);
    let in_header = |name: &str| header.expressions().any(|e| e.names().any(|(used, _)| used == name));
    for setting in header.settings.iter().filter(|s| s.key != "lr") {
        let constants = header::constants_of(setting);
        let by_constant = constants.iter().any(|name| in_text(name) || in_header(name));
        let by_name = header.clip_norm.as_ref() == Some(&setting.key)
            || in_header(&setting.key)
            || (constants.is_empty() && in_text(&setting.key));
        if !by_constant && !by_name {
            let message = format!("nothing reads the setting `{}`", setting.key);
            return Err(Fault::new((1, 1), message).hint("leave it out, or read it"));
        }
    }
    Ok(())
}

/// Checks that the functions that the kernels call are there and have the right signatures.
fn functions(tokens: &[Token<'_>], header: &Header) -> Result<(), Fault> {
    let find = |name: &str| tokens.windows(2).position(|pair| pair[0].text == "fn" && pair[1].text == name);
    let check = |name: &str, result: &[&[&str]], signature: &str| {
        let Some(at) = find(name) else {
            let place = tokens.last().map_or((1, 1), |token| token.place);
            return Err(Fault::new(place, format!("there is no `{signature}`")));
        };
        let rest: Vec<&str> = tokens[at + 2..].iter().map(|token| token.text).take(12).collect();
        let fits = matches!(rest[..], ["(", _, ":", "Element", ")", "->", ..])
            && result.iter().any(|r| rest[6..].starts_with(r));
        if fits { Ok(()) } else { Err(Fault::new(tokens[at].place, format!("it is `{signature}`"))) }
    };
    check("update", &[&["Element", "{"]], "fn update(e: Element) -> Element")?;
    match (header.measure, find("measure")) {
        (Some(_), _) => {
            let vectors: [&[&str]; 2] = [&["vec3", "<", "f32", ">", "{"], &["vec3f", "{"]];
            check("measure", &vectors, "fn measure(e: Element) -> vec3<f32>")
        }
        (None, Some(at)) => {
            let fault = Fault::new(tokens[at].place, "`measure` is called for a rule whose header says [measure]");
            Err(fault.hint("[measure] with over = \"tensor\" or over = \"all\""))
        }
        (None, None) => Ok(()),
    }
}
