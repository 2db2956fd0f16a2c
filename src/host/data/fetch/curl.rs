//! Fetches what is at an address by the system's `curl`.
//!
//! Windows, macOS and nearly every Linux have it, with certificates that the system keeps up to date; a TLS library in
//! this program would take longer to compile than the rest of it.

use std::{
    io::{ErrorKind, Read as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

use super::{Watch, part::Part};
use crate::error::{Error, Result};

/// How often the user's wish to stop is looked for while no bytes come.
const LOOK: Duration = Duration::from_millis(100);
/// curl's exit code if the server does not continue within a file (CURLE_RANGE_ERROR).
const NO_RANGE: i32 = 33;
/// curl's exit code if the server answers with an error (CURLE_HTTP_RETURNED_ERROR).
const HTTP_ERROR: i32 = 22;

/// How a transfer ended.
pub(super) enum End {
    /// The server says that this is all.
    Done,
    /// More bytes came than the file has; those beyond it were not written.
    TooLong,
    /// The server cannot begin within the file. Nothing was written.
    NoRange,
    /// The user wants to stop.
    Stopped,
    /// The server refuses, in curl's words.
    Refused(String),
    /// The connection failed or ended early, in curl's words.
    Broken(String),
}

/// A process that does not outlive this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Appends what `url` has behind the part's length to the part, up to `most` bytes in all. A connection that carries
/// nothing for `patience` is given up.
///
/// # Errors
/// [`Error::Device`] if there is no curl, [`Error::Io`] if the part cannot be written.
pub(super) fn append(url: &str, part: &mut Part, most: u64, patience: Duration, watch: &mut dyn Watch) -> Result<End> {
    let mut curl = start(url, part.length(), patience)?;
    let chunks = chunks(&mut curl.0);
    loop {
        if watch.stop() {
            return Ok(End::Stopped);
        }
        match chunks.recv_timeout(LOOK) {
            Ok(bytes) => {
                let room = (most - part.length()).min(bytes.len() as u64) as usize;
                part.append(&bytes[..room])?;
                if room < bytes.len() {
                    return Ok(End::TooLong);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        watch.progress(part.length());
    }
    let mut said = String::new();
    if let Some(mut errors) = curl.0.stderr.take() {
        // Whatever cannot be read of the reason, the exit code remains.
        let _ = errors.read_to_string(&mut said);
    }
    let status = curl.0.wait().map_err(Error::io("wait for", "curl".as_ref()))?;
    if status.code().is_none() {
        // Ctrl-C on a terminal ends curl too, perhaps before this process has noticed it.
        thread::sleep(2 * LOOK);
        if watch.stop() {
            return Ok(End::Stopped);
        }
    }
    Ok(end(status, &said))
}

fn end(status: ExitStatus, said: &str) -> End {
    // "curl: (22) The requested URL returned error: 404"
    let words = said.lines().last().unwrap_or_default().trim();
    let words = words.split_once(") ").map_or(words, |(_, words)| words);
    let words = if words.is_empty() { format!("curl ended with {status}") } else { words.to_owned() };
    match status.code() {
        Some(0) => End::Done,
        Some(NO_RANGE) => End::NoRange,
        Some(HTTP_ERROR) => End::Refused(words),
        _ => End::Broken(words),
    }
}

fn start(url: &str, from: u64, patience: Duration) -> Result<Running> {
    let seconds = patience.as_secs().max(1).to_string();
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--location", "--globoff"]);
    command.args(["--proto", "=http,https,file", "--proto-redir", "=http,https"]);
    command.args(["--connect-timeout", &seconds, "--speed-limit", "1", "--speed-time", &seconds]);
    if from > 0 {
        command.args(["--continue-at", &from.to_string()]);
    }
    command.args(["--output", "-", "--url", url]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map(Running).map_err(|fault| match fault.kind() {
        ErrorKind::NotFound => Error::device(
            "there is no program called `curl`, which fetches files",
            "install the package curl (apt install curl, dnf install curl, pacman -S curl), \
             or put the files there by hand",
        ),
        _ => Error::device(format!("curl, which fetches files, cannot be started: {fault}"), ""),
    })
}

/// What the process writes, read by a thread of its own, so that waiting for it can be interrupted.
fn chunks(curl: &mut Child) -> Receiver<Vec<u8>> {
    let (send, receive) = sync_channel(8);
    if let Some(mut output) = curl.stdout.take() {
        thread::spawn(move || {
            let mut chunk = vec![0; 1 << 16];
            // An error ends the transfer like the end of the output does; the length tells whether it is whole.
            while let Ok(bytes @ 1..) = output.read(&mut chunk) {
                if send.send(chunk[..bytes].to_vec()).is_err() {
                    return;
                }
            }
        });
    }
    receive
}
