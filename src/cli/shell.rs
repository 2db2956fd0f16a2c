//! `velograd completions` and `velograd man`: completion scripts for shells, and manual pages.

use std::{
    fs,
    io::{Write as _, stdout},
    path::PathBuf,
};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use super::print::say;
use crate::{
    error::{Error, Result},
    host::files::write_atomically,
};

#[derive(Args)]
pub(super) struct CompletionsArguments {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Prints a script that completes commands, flags and their values.
pub(super) fn completions(arguments: &CompletionsArguments, mut program: Command) -> Result<()> {
    let mut script = vec![];
    clap_complete::generate(arguments.shell, &mut program, "velograd", &mut script);
    write(&script)
}

#[derive(Args)]
pub(super) struct ManArguments {
    /// Folder for a page per command, as man's section 1 [default: the program's page on standard output]
    #[arg(long, short, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,
}

/// Prints the manual page of the program, or writes a page per command.
pub(super) fn man(arguments: &ManArguments, program: Command) -> Result<()> {
    let page = |command: Command| -> Vec<u8> {
        let mut page = vec![];
        Man::new(command).render(&mut page).expect("a Vec takes every byte");
        page
    };
    let Some(out) = &arguments.out else { return write(&page(program)) };
    fs::create_dir_all(out).map_err(Error::io("create", out))?;
    let commands: Vec<Command> = program.get_subcommands().cloned().collect();
    write_atomically(&out.join("velograd.1"), &page(program))?;
    for command in &commands {
        let name = format!("velograd-{}", command.get_name());
        // The title of a page is the name of its command.
        let command = command.clone().name(name.clone());
        write_atomically(&out.join(format!("{name}.1")), &page(command))?;
    }
    say!("wrote {} pages to {}", commands.len() + 1, out.display());
    Ok(())
}

/// Writes to standard output; a closed pipe is no error.
fn write(bytes: &[u8]) -> Result<()> {
    match stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::Io { action: "write to", path: "standard output".into(), source: error })
        }
        _ => Ok(()),
    }
}
