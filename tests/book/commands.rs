//! The blocks of shell commands in the pages. A page's blocks run one after the other in a folder of their own, and what they write
//! is compared with the block of text that follows. The words behind `sh` say what a test does otherwise.

use std::{
    ffi::OsString,
    fs,
    process::{Command, Stdio},
    time::Instant,
};

use super::{Block, Page, pages};
use crate::{
    folder::Folder,
    resume::run::{signal, wait_for},
    support::gpu,
};

/// What becomes of a block of shell commands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// It runs as it stands.
    Whole,
    /// It runs with smaller networks and fewer updates.
    Short,
    /// As `Short`; it is interrupted by Ctrl-C once there is a checkpoint.
    Interrupted,
    /// It is refused, and the text is the error.
    Refused,
    /// Its commands are only parsed, for the reason given.
    Parsed(&'static str),
}

impl Way {
    /// `None` if the block is in another language.
    fn of(page: &Page, block: &Block) -> Option<Self> {
        if block.words[0] != "sh" {
            return None;
        }
        Some(match block.words[1..].iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => Self::Whole,
            ["short"] => Self::Short,
            ["interrupted"] => Self::Interrupted,
            ["refused"] => Self::Refused,
            ["parsed"] => Self::Parsed("it is an example with names of the reader's"),
            ["minutes"] => Self::Parsed("it takes minutes"),
            ["download"] => Self::Parsed("it needs a download"),
            ["build"] => Self::Parsed("it compiles"),
            ["gpu"] => Self::Parsed("it needs a GPU"),
            _ => panic!("{}: no test knows what to do with a block of {:?}", page.path, block.words),
        })
    }
}

/// What is added to commands that train, in blocks of `sh,short`; the last of two equal flags counts.
const SMALL: &str = "--width 4 --batch-size 16 --epochs 1 --max-steps 4 --val-split 64";

/// As [`SMALL`], on pages with a run that must last until it is interrupted.
const LASTING: &str = "--width 4 --batch-size 16 --epochs 2 --max-steps 60 --val-split 64";

/// `velograd` as a function of the shell that adds flags to commands that train, except where a run goes on with its own.
const PRELUDE: &str = r#"exec 2>&1
velograd() {
    case "$*" in
    *--resume*) "$PROGRAM" "$@" ;;
    train* | compare* | sweep* | ablate*) $EXEC "$PROGRAM" "$@" $MORE ;;
    *) "$PROGRAM" "$@" ;;
    esac
}
"#;

/// Runs a block, and returns all that it wrote.
fn run(folder: &Folder, cache: &Folder, page: &Page, block: &Block, way: Way) -> String {
    let interrupts = page.blocks().iter().any(|block| Way::of(page, block) == Some(Way::Interrupted));
    let more = match way {
        Way::Whole | Way::Refused | Way::Parsed(_) => "",
        _ if interrupts => LASTING,
        _ => SMALL,
    };
    let mut command = Command::new("sh");
    command.args(["-eu", "-c", &format!("{PRELUDE}{}", block.text)]).current_dir(&folder.0);
    command.env("PROGRAM", env!("CARGO_BIN_EXE_velograd")).env("MORE", more).env("VELOGRAD_CACHE", &cache.0);
    // In place of the shell, so that the signal reaches it.
    command.env("EXEC", if way == Way::Interrupted { "exec" } else { "" });
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    if way == Way::Interrupted {
        assert!(wait_for(&mut child, || has_checkpoint(folder)), "{}: the run ended before a checkpoint", page.path);
        signal(&child, "INT");
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let codes = match way {
        Way::Interrupted => 130..=130,
        Way::Refused => 1..=2,
        _ => 0..=0,
    };
    let code = output.status.code();
    assert!(code.is_some_and(|code| codes.contains(&code)), "{}: {code:?}\n{}\n{said}", page.path, block.text);
    said
}

/// Whether a run in `runs/` has a checkpoint.
fn has_checkpoint(folder: &Folder) -> bool {
    let runs = fs::read_dir(folder.0.join("runs")).into_iter().flatten();
    let files = runs.flat_map(|run| fs::read_dir(run.unwrap().path().join("checkpoints")).into_iter().flatten());
    files.flatten().any(|file| file.path().extension().is_some_and(|ending| ending == "safetensors"))
}

/// The arguments of the commands of velograd in a block.
fn arguments(block: &Block) -> Vec<Vec<OsString>> {
    let joined = block.text.replace("\\\n", " ");
    let code = joined.lines().map(|line| line.split(" #").next().unwrap());
    let words = code.map(|line| words(line).into_iter().skip_while(|word| word.contains('=')).collect::<Vec<_>>());
    let ours = words.filter(|words| words.first().is_some_and(|word| word == "velograd"));
    ours.map(|words| words.into_iter().map(OsString::from).collect()).collect()
}

/// The words of a command up to a pipe or a redirection; what is in double quotes is one word.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    for (part, quoted) in line.split('"').zip([false, true].into_iter().cycle()) {
        match quoted {
            true => words.push(part.to_owned()),
            false => words.extend(part.split_whitespace().map(str::to_owned)),
        }
    }
    words.into_iter().take_while(|word| !["|", ">"].contains(&word.as_str())).collect()
}

/// A line's words, with one sign for all numbers: these depend on the device, on its speed, and on the size of the run.
fn shape(line: &str) -> Vec<String> {
    let word = |word: &str| {
        let mut out = String::new();
        for c in word.chars() {
            match c {
                '0'..='9' if out.ends_with('#') => {}
                '0'..='9' => out.push('#'),
                // A fraction or an exponent belongs to the number.
                _ => out.push(c),
            }
        }
        out.replace("#.#", "#").replace("#e-#", "#")
    };
    line.split_whitespace().map(word).map(|word| if word == "-" { "#".into() } else { word }).collect()
}

/// Asserts that every line of `shown` is a line of `said` up to numbers, or a part of one, as where a terminal is narrow. Lines that
/// name the device of the author are left out, and so are lines of `...`.
fn compare(page: &Page, shown: &str, said: &str) {
    let lines: Vec<_> = said.lines().map(shape).collect();
    for line in shown.lines().filter(|line| !line.contains("llvmpipe") && line.trim() != "...") {
        let wanted = shape(line);
        let holds = |line: &Vec<String>| {
            let mut words = line.iter();
            wanted.iter().all(|word| words.any(|other| other == word))
        };
        assert!(lines.iter().any(holds), "{}: the page shows\n{line}\nand the program said\n{said}", page.path);
    }
}

/// Writes the files that the page shows, runs its commands, and returns how many blocks ran.
fn follow(page: &Page, cache: &Folder) -> usize {
    let blocks = page.blocks();
    if blocks.iter().all(|block| Way::of(page, block).is_none_or(|way| matches!(way, Way::Parsed(_)))) {
        return 0;
    }
    let folder = Folder::new(&page.path.replace(['/', '.'], "-"));
    let (mut said, mut ran) = (None, 0);
    for block in &blocks {
        match (block.words[0].as_str(), block.words.get(1), Way::of(page, block)) {
            (_, _, Some(Way::Parsed(_))) => said = None,
            (_, _, Some(way)) => {
                said = Some(run(&folder, cache, page, block, way));
                ran += 1;
            }
            ("text", _, _) => said.take().into_iter().for_each(|said| compare(page, &block.text, &said)),
            (_, Some(name), _) => drop(folder.write(name, block.text.as_bytes())),
            _ => {}
        }
    }
    ran
}

/// The commands of every page run, and write what the page shows.
#[test]
fn commands_do_what_pages_show() {
    // They are in the language of `sh`.
    if !cfg!(unix) || gpu().is_none() {
        return;
    }
    let (cache, mut ran) = (Folder::new("book-cache"), 0);
    for page in pages() {
        let start = Instant::now();
        let count = follow(&page, &cache);
        if count > 0 {
            println!("{}: {count} blocks, {:.1} s", page.path, start.elapsed().as_secs_f64());
        }
        ran += count;
    }
    assert!(ran > 20, "{ran} blocks");
}

/// Every command of velograd in a page has flags that there are, also where a test does not run it.
#[test]
fn commands_that_are_not_run_are_parsed() {
    let mut parsed = 0;
    for page in pages() {
        for block in page.blocks() {
            let Some(Way::Parsed(why)) = Way::of(&page, &block) else { continue };
            for arguments in arguments(&block) {
                println!("{}: not run, {why}: {arguments:?}", page.path);
                velograd::cli::check(arguments).unwrap_or_else(|fault| panic!("{}: {fault}", page.path));
                parsed += 1;
            }
        }
    }
    assert!(parsed > 15, "{parsed} commands");
}

/// The comparison notices a line that the program does not write.
#[test]
fn a_wrong_line_is_noticed() {
    let page = Page { path: "a page".into(), text: String::new() };
    let said = "epoch  1/8  training loss 0.25  accuracy 9.1 %\nwrote report.html to runs/first\n";
    compare(&page, "epoch 2/2 training loss 1.75\n...\nreport.html to runs/first\n", said);
    for wrong in ["epoch 1/8 validation loss 0.25", "report.html to runs/second", "wrote curves.png"] {
        assert!(std::panic::catch_unwind(|| compare(&page, wrong, said)).is_err(), "{wrong}");
    }
}
