//! The line at the bottom of a terminal that shows the current stage of work, so that the program is never silent for
//! long.
//!
//! There is at most one such line. On a terminal it is animated, and other output is printed above it. Without a
//! terminal, a stage that lasts longer than [`PATIENCE`] is printed as a line of its own, and again every [`AGAIN`].

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    sync::{Mutex, MutexGuard, Once, PoisonError},
    thread,
    time::{Duration, Instant},
};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::level::{Level, says};

/// Without a terminal: how long a stage may last before it is printed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Without a terminal: how often it is printed from then on.
const AGAIN: Duration = Duration::from_secs(10);

/// Width of the spinner in characters.
const SIGN: usize = 2;

/// The current stage of work.
struct Stage {
    text: String,
    begun: Instant,
    /// When it was last printed without a terminal.
    said: Option<Instant>,
    /// The line on a terminal.
    bar: Option<ProgressBar>,
}

static STAGE: Mutex<Option<Stage>> = Mutex::new(None);

fn stage() -> MutexGuard<'static, Option<Stage>> {
    STAGE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether there is a line: on a terminal, unless the user asked for quiet.
pub(super) fn is_seen() -> bool {
    stderr().is_terminal() && says(Level::Usual)
}

/// Number of characters that [`show`] has room for.
pub(super) fn width() -> usize {
    usize::from(Term::stderr().size().1).saturating_sub(SIGN + 1)
}

/// Shows a stage from now on, in place of the previous one.
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

/// Shows a stage while `work` runs.
pub(super) fn during<T>(text: &str, work: impl FnOnce() -> T) -> T {
    show(text);
    let done = work();
    clear();
    done
}

/// Removes the line.
pub(super) fn clear() {
    if let Some(Stage { bar: Some(bar), .. }) = stage().take() {
        bar.finish_and_clear();
    }
}

/// Prints something above the line.
pub(super) fn above(print: impl FnOnce()) {
    let bar = stage().as_ref().and_then(|stage| stage.bar.clone());
    match bar {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// Prints stages that last long, for as long as the program runs without a terminal.
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
