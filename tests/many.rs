//! Many runs: by several processes at a time, on this machine or on a cluster, and what is told of them.

/// On a Slurm that the test starts.
mod slurm;

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use velograd::host::run::Lock;

use crate::{
    folder::{Folder, records, says},
    resume::run::{left, rows, said, signal, wait_for},
    support::gpu,
};

/// A sweep of tiny networks; each of its runs is `epochs` times six updates.
struct Sweep {
    folder: Folder,
    flags: Vec<String>,
}

impl Sweep {
    fn new(name: &str, flags: &str) -> Self {
        let folder = Folder::new(name);
        folder.write("set/data_batch_1.bin", &records(96));
        folder.write("set/test_batch.bin", &records(20));
        let common = "sweep --data set --model mlp --model-set width=8 --quick --batch-size 16 --optimizers sgd";
        Self { folder, flags: format!("{common} {flags}").split_whitespace().map(str::to_owned).collect() }
    }

    fn command(&self, out: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_velograd"));
        command.args(&self.flags).args(["--out", out]).args(more).current_dir(&self.folder.0);
        command
    }

    fn works(&self, out: &str, more: &[&str]) -> String {
        let output = self.command(out, more).output().unwrap();
        assert!(output.status.success(), "{more:?}: {}", said(&output));
        said(&output)
    }

    fn refused(&self, code: i32, out: &str, more: &[&str]) -> String {
        let output = self.command(out, more).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{more:?}: {}", said(&output));
        said(&output)
    }

    fn begins(&self, out: &str, more: &[&str]) -> Child {
        self.command(out, more).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn run(&self, out: &str, rate: &str, seed: u32) -> PathBuf {
        self.folder.0.join(out).join(format!("runs/sgd_lr={rate}/seed-{seed}"))
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.0.join(name)).unwrap_or_else(|fault| panic!("{name}: {fault}"))
    }

    /// Asserts that both experiments have the same runs, to the bit, and the same table.
    fn same(&self, one: &str, other: &str, rates: &[&str], seeds: u32) {
        for (rate, seed) in rates.iter().flat_map(|rate| (0..seeds).map(move |seed| (rate, seed))) {
            let [a, b] = [one, other].map(|out| left(&self.run(out, rate, seed)));
            assert!(a == b, "lr {rate}, seed {seed}: {} {}", a.result, b.result);
        }
        let [a, b] = [one, other].map(|out| self.text(&format!("{out}/table.csv")));
        assert_eq!(a, b);
    }
}

/// The line of a list of runs that begins with this number.
fn line_of(said: &str, number: usize) -> &str {
    let number = number.to_string();
    let line = said.lines().find(|line| line.split_whitespace().next() == Some(&number));
    line.unwrap_or_else(|| panic!("no run {number} in\n{said}"))
}

/// Runs are made one by one, in any order and by several processes at a time; each is told of meanwhile, the table has a row for
/// what is missing, and the results are those of a single process.
#[test]
fn one_by_one() {
    if gpu().is_none() {
        return;
    }
    let sweep = Sweep::new("one-by-one", "--epochs 2 --seeds 2 --lr 0.01,0.1");
    sweep.works("whole", &[]);

    says(&sweep.refused(1, "out", &["--status"]), &["out: expected the folder of an experiment, found no such folder"]);
    let lines = sweep.works("out", &["--launcher", "commands"]);
    says(&lines, &["4 of 4 runs are to be made", "--table-only"]);
    let lines: Vec<&str> = lines.lines().filter(|line| line.contains("--run")).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[2].ends_with("out --run 3"), "{}", lines[2]);
    says(&sweep.works("out", &["--status"]), &["4 runs: 4 waiting"]);
    let table = sweep.works("out", &["--table-only"]);
    says(&table, &["Unfinished: 0 of 4 runs have ended", "Unfinished runs:"]);

    let told = sweep.works("out", &["--run", "2"]);
    says(&told, &["run 2 of 4 (sgd lr=0.1, seed 0)", "has ended"]);
    says(&sweep.works("out", &["--run", "2"]), &["run 2 of 4 (sgd lr=0.1, seed 0): has ended"]);
    // The folder alone says what the experiment is, from anywhere.
    let told = sweep.folder.works(&["sweep", "--out", "out", "--status"]);
    says(&told, &["4 runs: 1 ended, 3 waiting"]);
    says(line_of(&told, 2), &["sgd lr=0.1", "ended", "2 of 2"]);
    sweep.folder.works(&["sweep", "--out", "out", "--table-only"]);
    for name in ["out/table.md", "out/report.html"] {
        says(&sweep.text(name), &["Unfinished: 1 of 4", "Unfinished runs", "sgd lr=0.01", "waiting"]);
    }
    assert!(!sweep.run("out", "0.01", 0).join("run.json").exists(), "a table trains nothing");

    for (number, hint) in [("0", "--run is 0"), ("5", "--run is from 1 to 4")] {
        says(&sweep.refused(2, "out", &["--run", number]), &[hint]);
    }
    says(&sweep.refused(2, "out", &["--run", "1", "--epochs", "3"]), &["begun with another recipe", "there 2, here 3"]);
    says(
        &sweep.refused(2, "out", &["--launcher", "commands", "--batch-size", "8"]),
        &["another recipe", "--batch-size"],
    );
    says(&sweep.refused(2, "out", &["--run", "1", "--status"]), &["cannot be used with"]);
    says(&sweep.refused(2, "out", &["--at-once", "2"]), &["none are submitted", "--launcher slurm"]);
    says(&sweep.refused(2, "out", &["--launcher", "commands", "--slurm", "-p x"]), &["--launcher slurm"]);
    says(&sweep.refused(2, "out", &["--devices", "0,1"]), &["--devices without --jobs"]);
    says(&sweep.refused(2, "out", &["--jobs", "0"]), &["--jobs is 0"]);
    says(&sweep.folder.refused(2, &["compare", "--out", "out", "--status"]), &["recipe of `velograd sweep`"]);

    let lines = sweep.works("out", &["--launcher", "commands"]);
    let lines = lines.lines().filter(|line| line.contains("--run")).map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(lines.lines().count(), 3);
    let output = by_parallel(&lines);
    assert!(output.status.success(), "{}", said(&output));
    says(&sweep.works("out", &["--status"]), &["4 runs: 4 ended"]);
    let table = sweep.works("out", &["--table-only"]);
    assert!(!table.contains("nfinished"), "{table}");
    sweep.same("whole", "out", &["0.01", "0.1"], 2);
    says(&sweep.works("out", &["--launcher", "commands"]), &["0 of 4 runs are to be made"]);
    says(&sweep.works("out", &[]), &["ended before (run 4 of 4)"]);
}

/// Calls lines of a shell by GNU parallel, two at a time; one after the other where it is not installed.
fn by_parallel(lines: &str) -> Output {
    let parallel = Command::new("parallel").args(["--version"]).output();
    let parallel = parallel.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).starts_with("GNU parallel"));
    let mut command = Command::new(if parallel { "parallel" } else { "sh" });
    if parallel {
        command.args(["--jobs", "2"]);
    } else {
        assert!(!slurm::is_required(), "GNU parallel is not installed");
        println!("skipped: GNU parallel, which is not installed");
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// A run that another process makes is refused, and others are not. A run that was killed is interrupted, one that ended with an
/// error has failed, and both go on.
#[test]
fn a_lock_per_run() {
    if gpu().is_none() {
        return;
    }
    let sweep = Sweep::new("lock-per-run", "--epochs 40 --seeds 1 --lr 0.01,0.1 --checkpoint-every 2steps");
    let run = sweep.run("out", "0.01", 0);
    let mut first = sweep.begins("out", &["--run", "1"]);
    assert!(wait_for(&mut first, || rows(&run) >= 8), "the run ended too soon");
    signal(&first, "STOP");
    let taken = sweep.refused(2, "out", &["--run", "1"]);
    says(&taken, &["run 1 (sgd lr=0.01, seed 0) is being made by another process", "--status lists"]);
    says(line_of(&sweep.works("out", &["--status"]), 1), &["running", "of 40"]);
    says(&sweep.refused(2, "out", &[]), &["seed-0 is in use by another process"]);

    // The data cannot be read for a while.
    fs::rename(sweep.folder.0.join("set"), sweep.folder.0.join("away")).unwrap();
    let failed = sweep.refused(1, "out", &["--run", "2"]);
    says(&failed, &["set"]);
    says(line_of(&sweep.works("out", &["--status"]), 2), &["failed", "set"]);
    fs::rename(sweep.folder.0.join("away"), sweep.folder.0.join("set")).unwrap();
    sweep.works("out", &["--run", "2"]);
    let told = sweep.works("out", &["--status"]);
    says(line_of(&told, 2), &["ended", "40 of 40"]);
    assert!(!sweep.run("out", "0.1", 0).join("error.txt").exists(), "the attempt after it has ended well");

    first.kill().unwrap();
    first.wait().unwrap();
    says(line_of(&sweep.works("out", &["--status"]), 1), &["interrupted"]);
    says(&sweep.works("out", &["--run", "1"]), &["continued from", "has ended"]);
    sweep.works("out", &["--table-only"]);
    sweep.works("whole", &[]);
    sweep.same("whole", "out", &["0.01", "0.1"], 1);
}

/// A run waits for the process that begins the experiment as long as that takes, and a signal ends the wait. Until then nothing is
/// made.
#[test]
fn the_beginning_is_waited_for() {
    if gpu().is_none() {
        return;
    }
    let sweep = Sweep::new("beginning", "--epochs 1 --seeds 1 --lr 0.01");
    let run = sweep.run("out", "0.01", 0);
    let begins = Lock::take(&sweep.folder.0.join("out")).unwrap();
    let mut told = sweep.begins("out", &["--run", "1"]);
    std::thread::sleep(Duration::from_secs(2));
    assert!(told.try_wait().unwrap().is_none() && !run.exists(), "it did not wait");
    signal(&told, "TERM");
    let output = told.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", said(&output));
    says(&said(&output), &["run 1: stopped; the same command again goes on from here"]);
    assert!(!run.exists());

    let waits = sweep.begins("out", &["--run", "1"]);
    std::thread::sleep(Duration::from_secs(1));
    drop(begins);
    let output = waits.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    says(&said(&output), &["has ended"]);
}

/// Several runs at a time have the results of one after the other. Ctrl-C lets each write its checkpoint.
#[test]
fn several_at_a_time() {
    if gpu().is_none() {
        return;
    }
    let sweep = Sweep::new("several", "--epochs 30 --seeds 1 --lr 0.01,0.1,0.2 --checkpoint-every off");
    sweep.works("whole", &[]);
    let mut all = sweep.begins("out", &["--jobs", "2"]);
    let (first, second) = (sweep.run("out", "0.01", 0), sweep.run("out", "0.1", 0));
    assert!(wait_for(&mut all, || rows(&first) >= 2 && rows(&second) >= 2), "the runs ended too soon");
    signal(&all, "INT");
    let output = all.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    says(&said(&output), &["interrupted: run 1 of 3", "stopped; the same command again goes on"]);
    assert!(!sweep.run("out", "0.2", 0).exists(), "no run begins after a signal");
    for run in [&first, &second] {
        assert!(run.join("checkpoints").is_dir() || run.join("model.safetensors").is_file(), "{}", run.display());
    }
    let told = sweep.works("out", &["--jobs", "2"]);
    says(&told, &["3 of 3 have ended", "sgd: best at"]);
    says(&sweep.text("out/jobs/run-1.log"), &["continued from", "has ended"]);
    sweep.same("whole", "out", &["0.01", "0.1", "0.2"], 1);

    // A run that fails leaves the others alone, and is told of.
    sweep.folder.write("fails/runs/sgd_lr=0.1/seed-0/run.json/in-the-way", b"");
    let told = sweep.refused(1, "fails", &["--jobs", "2", "--epochs", "1"]);
    says(&told, &["run 2 (sgd lr=0.1, seed 0) failed: ", "Unfinished: 2 of 3 runs have ended"]);
}

/// Where there is no Slurm, and where it refuses what it is given, the error says what to do.
#[test]
fn without_slurm() {
    let sweep = Sweep::new("without-slurm", "--epochs 1 --seeds 1 --lr 0.01,0.1");
    let submit = |path: &str| {
        let mut command = sweep.command("out", &["--launcher", "slurm", "--slurm", "--partition=gpu --gpus=1"]);
        let output = command.env("PATH", path).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        said(&output)
    };
    says(&submit("/nowhere"), &["there is no sbatch here", "login node", "--launcher commands"]);
    let script = sweep.text("out/slurm/run.sh");
    says(&script, &["#SBATCH --requeue", "--signal=B:TERM@60", "#SBATCH --partition=gpu --gpus=1\ncd "]);
    let refuses = "#!/bin/sh\necho 'sbatch: error: invalid partition specified: gpu' >&2\nexit 1\n";
    let path = sweep.folder.write("bin/sbatch", refuses.as_bytes());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let said = submit(&format!("{}:/bin", path.parent().unwrap().display()));
    says(&said, &["sbatch refused", "invalid partition specified: gpu", "--slurm takes flags of sbatch", "`sinfo`"]);
    assert!(!sweep.folder.0.join("out/slurm/runs.tsv").exists(), "nothing was submitted");
}
