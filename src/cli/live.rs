//! The line at the lower end of a terminal that says what is going on, so that nothing is silent for long.
//!
//! There is one such line at most. On a terminal it moves while nothing else does, and whatever is printed goes above it. Without a
//! terminal a stage that lasts longer than [`PATIENCE`] is said in a line of its own, and again every [`AGAIN`].

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    sync::{Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::level::{Level, says};

/// How long a stage may last before it is said without a terminal.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is said from then on.
const AGAIN: Duration = Duration::from_secs(10);

/// Characters of the line that belong to its moving sign.
const SIGN: usize = 2;

/// What is going on.
struct Stage {
    text: String,
    begun: Instant,
    /// When it was last said without a terminal.
    said: Option<Instant>,
    /// The line, on a terminal.
    bar: Option<ProgressBar>,
}

static STAGE: Mutex<Option<Stage>> = Mutex::new(None);

fn stage() -> MutexGuard<'static, Option<Stage>> {
    STAGE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether there is a line at all: on a terminal, where the user has not asked for quiet.
pub(super) fn is_seen() -> bool {
    stderr().is_terminal() && says(Level::Usual)
}

/// Characters that a text of [`show`] may have.
pub(super) fn width() -> usize {
    usize::from(Term::stderr().size().1).saturating_sub(SIGN + 1)
}

/// Says what is going on from now on, in place of what was said before.
pub(super) fn show(text: impl Into<String>) {
    if !says(Level::Usual) {
        return;
    }
    let (text, mut stage) = (text.into(), stage());
    if let Some(stage) = stage.as_mut() {
        if let Some(bar) = &stage.bar {
            bar.set_message(text.clone());
        }
        stage.text = text;
        return;
    }
    let bar = stderr().is_terminal().then(|| {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        bar.set_style(ProgressStyle::with_template("{spinner} {wide_msg}").expect("a valid template"));
        bar.set_message(text.clone());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    });
    if bar.is_none() {
        static TELLER: Once = Once::new();
        TELLER.call_once(|| drop(thread::spawn(tell)));
    }
    *stage = Some(Stage { text, begun: Instant::now(), said: None, bar });
}

/// Says what is going on while `work` lasts.
pub(super) fn during<T>(text: &str, work: impl FnOnce() -> T) -> T {
    show(text);
    let done = work();
    clear();
    done
}

/// Takes the line away.
pub(super) fn clear() {
    if let Some(Stage { bar: Some(bar), .. }) = stage().take() {
        bar.finish_and_clear();
    }
}

/// Prints above the line.
pub(super) fn above(print: impl FnOnce()) {
    let bar = stage().as_ref().and_then(|stage| stage.bar.clone());
    match bar {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// Says a stage that lasts, where there is no terminal.
fn tell() {
    loop {
        thread::sleep(PATIENCE / 8);
        let mut stage = stage();
        let Some(stage) = stage.as_mut() else { continue };
        let due = stage.said.map_or(stage.begun + PATIENCE, |said| said + AGAIN);
        if Instant::now() >= due {
            stage.said = Some(Instant::now());
            let _ = writeln!(stderr(), "{}", stage.text);
        }
    }
}
