//! `--launcher slurm`: one job array over the runs that have not ended, and a job behind it for table and page.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    io::ErrorKind,
    path::Path,
    process::ExitCode,
};

use super::{
    known::Known,
    launch::{from_here, is_among, line, table},
    queue::{FOLDER, Queue, RUNS, TABLE, array_of, call},
};
use crate::{
    cli::print::{note, say},
    error::{Error, Result, suggest::shell_word},
    host::files::write_atomically,
    lab::experiment::Planned,
};

/// Submits the runs that have not ended and are not in the queue; `flags` are those of sbatch.
pub fn submit(known: &Known, flags: &str, at_once: Option<u32>) -> Result<ExitCode> {
    let design = &known.design;
    let (folder, queue, ended) = (design.folder.join(FOLDER), Queue::of(&design.folder)?, design.ended()?);
    let (mut jobs, mut missing): (BTreeMap<usize, String>, Vec<Planned<'_>>) = Default::default();
    for run in design.runs().filter(|run| !is_among(run, &ended)) {
        match queue.alive(&run.name) {
            Some(job) => drop(jobs.insert(run.number, job.to_owned())),
            None => missing.push(run),
        }
    }
    known.keep()?;
    let (waiting, submitted) = (jobs.len(), missing.len());
    say!("{} runs: {} ended, {waiting} in the queue, {submitted} to submit", design.count(), ended.len());
    if missing.is_empty() && jobs.is_empty() {
        return table(known);
    }
    fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    // In an array of its own each task has a number from 1 on, to which the array's first argument is added.
    let run = line(&known.run(None)) + " $((SLURM_ARRAY_TASK_ID + ${1:-0}))";
    script(&folder.join("run.sh"), &format!("velograd-{}", known.command), "run-%A_%a.log", flags, RUN, &run)?;
    let whole = line(&known.words(&["--table-only"]));
    script(&folder.join("table.sh"), "velograd-table", "table-%j.log", flags, "", &whole)?;

    let mut before: BTreeSet<String> = jobs.values().map(|job| array_of(job).to_owned()).collect();
    let mut last: Option<String> = None;
    for (offset, tasks) in arrays(&missing.iter().map(|run| run.number).collect::<Vec<_>>(), largest()) {
        let limit = at_once.map_or(String::new(), |n| format!("%{n}"));
        let mut arguments = vec![format!("--array={}{limit}", ranges(&tasks))];
        // The limit is that of an array: another one waits for the one before.
        if let (Some(_), Some(last)) = (at_once, &last) {
            arguments.push(format!("--dependency=afterany:{last}"));
        }
        let array = sbatch(&arguments, &folder.join("run.sh"), &[offset.to_string()])?;
        jobs.extend(tasks.iter().map(|task| (task + offset, format!("{array}_{task}"))));
        say!("job array {array}: {} runs", tasks.len());
        before.insert(array.clone());
        last = Some(array);
        // What is in the queue is known even if the next array is refused.
        write_runs(known, &folder, &jobs, queue.table())?;
    }
    let behind = match queue.table() {
        Some(job) if submitted == 0 => job.to_owned(),
        other => {
            if let Some(job) = other {
                // It would come before the runs that were submitted now; if it is gone already, so much the better.
                let _ = call("scancel", &[job]);
            }
            let arrays = before.iter().map(String::as_str).collect::<Vec<_>>().join(":");
            sbatch(&[format!("--dependency=afterany:{arrays}")], &folder.join("table.sh"), &[])?
        }
    };
    write_runs(known, &folder, &jobs, Some(&behind))?;
    say!("job {behind} behind them: table and page in {}", design.folder.display());
    let status = format!("velograd {} --out {} --status", known.command, shell_word(&design.folder));
    note!("{status} lists what has become of each run; the same command again submits what is missing");
    Ok(ExitCode::SUCCESS)
}

/// What the lines of `run.sh` are about.
const RUN: &str = "\
# Slurm's signals reach the program, which is in place of the shell: a run that is preempted, cancelled or at the end of its time
# writes a checkpoint. Unless it was cancelled, it is queued again, and goes on.
#SBATCH --requeue
#SBATCH --signal=B:TERM@60
#SBATCH --open-mode=append
";

/// Writes a script for sbatch that becomes `command`.
fn script(path: &Path, name: &str, log: &str, flags: &str, about: &str, command: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // A percent sign in a path would be one of Slurm's own words.
    let folder = folder.display().to_string().replace('%', "%%").replace('\\', r"\\").replace('"', "\\\"");
    let flags = match flags.split_whitespace().collect::<Vec<_>>().join(" ") {
        flags if flags.is_empty() => flags,
        flags => format!("#SBATCH {flags}\n"),
    };
    let head = format!("#!/bin/sh\n#SBATCH --job-name={name}\n#SBATCH --output=\"{folder}/{log}\"\n{about}{flags}");
    write_atomically(path, format!("{head}{} || exit\nexec {command}\n", from_here()?).as_bytes())
}

/// Writes which job makes each run.
fn write_runs(known: &Known, folder: &Path, jobs: &BTreeMap<usize, String>, table: Option<&str>) -> Result<()> {
    let mut text = "run\tjob\toptimizer\tseed\tfolder\n".to_owned();
    for Planned { number, variant, seed, name, .. } in known.design.runs() {
        let job = jobs.get(&number).map_or("", String::as_str);
        let label = variant.label.replace(['\t', '\n'], " ");
        let _ = writeln!(text, "{number}\t{job}\t{label}\t{seed}\t{name}");
    }
    let _ = writeln!(text, "{TABLE}\t{}\t\t\t", table.unwrap_or_default());
    write_atomically(&folder.join(RUNS), text.as_bytes())
}

/// Submits a script with arguments of its own, and returns the number of its job.
fn sbatch(flags: &[String], script: &Path, arguments: &[String]) -> Result<String> {
    let path = script.display().to_string();
    let words = ["--parsable"].into_iter().chain(flags.iter().map(String::as_str)).chain([path.as_str()]);
    let words: Vec<&str> = words.chain(arguments.iter().map(String::as_str)).collect();
    let output = call("sbatch", &words).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let hint = "call this on a machine that has Slurm's commands, as a cluster's login node; 'launcher' commands \
                        prints the runs for any other queue";
            Error::about("launcher", "'launcher' is slurm, and there is no sbatch here", hint)
        }
        _ => Error::io("call", Path::new("sbatch"))(error),
    })?;
    let [said, wrong] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
    if !output.status.success() {
        let hint =
            "'slurm' takes flags of sbatch, as \"--partition=gpu --gpus=1 --time=4:00:00\"; `sinfo` lists partitions";
        return Err(Error::about("slurm", format!("sbatch refused {path}:\n  {}", wrong.replace('\n', "\n  ")), hint));
    }
    // In a federation the name of the cluster follows.
    Ok(said.lines().last().unwrap_or_default().split(';').next().unwrap_or_default().to_owned())
}

/// The largest number that a task may have on this cluster; Slurm's default if it does not say.
fn largest() -> usize {
    let said = call("scontrol", &["show", "config"]).map(|output| output.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().find_map(|line| line.strip_prefix("MaxArraySize")?.trim().strip_prefix('='));
    line.and_then(|size| size.trim().parse::<usize>().ok()).filter(|size| *size > 1).unwrap_or(1001) - 1
}

/// Runs by their numbers as arrays whose tasks have numbers from 1 to `largest`, and what is to be added to those.
fn arrays(numbers: &[usize], largest: usize) -> BTreeMap<usize, Vec<usize>> {
    let mut arrays: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for number in numbers {
        let offset = (number - 1) / largest * largest;
        arrays.entry(offset).or_default().push(number - offset);
    }
    arrays
}

/// Ascending numbers as Slurm writes them: `1-3,7`.
fn ranges(numbers: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = vec![];
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let range =
        |(first, last): &(usize, usize)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    ranges.iter().map(range).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_of_arrays() {
        assert_eq!(ranges(&[1, 2, 3, 5, 8, 9]), "1-3,5,8-9");
        assert_eq!(arrays(&[1, 3, 4, 7], 3), BTreeMap::from([(0, vec![1, 3]), (3, vec![1]), (6, vec![1])]));
    }
}
