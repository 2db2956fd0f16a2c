//! `--launcher slurm` on a real Slurm, which the test starts in a folder of its own; skipped where it is not installed.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use super::{Sweep, line_of};
use crate::{
    folder::{Folder, says},
    resume::run::{rows, said},
    support::gpu,
};

/// Whether Slurm and GNU parallel have to be there (`VELOGRAD_REQUIRE_SLURM=1`).
pub fn is_required() -> bool {
    std::env::var("VELOGRAD_REQUIRE_SLURM").is_ok_and(|value| value == "1")
}

/// A Slurm with one node of two processors; stopped at the end.
struct Cluster {
    folder: Folder,
}

impl Cluster {
    /// `None` where it cannot be started, after a line that says why.
    fn start() -> Option<Self> {
        let there = |name: &&str| {
            ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().any(|folder| Path::new(folder).join(name).exists())
        };
        let missing: Vec<&str> =
            ["munged", "slurmctld", "slurmd", "sbatch"].into_iter().filter(|name| !there(name)).collect();
        let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
        if !missing.is_empty() || !root {
            assert!(!is_required(), "VELOGRAD_REQUIRE_SLURM=1, and there is no {missing:?}, or this is not root");
            println!("skipped: a Slurm needs root, slurm-wlm and munge; not there: {missing:?}");
            return None;
        }
        let cluster = Self { folder: Folder::new("cluster") };
        let output = cluster.script("start").output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        Some(cluster)
    }

    fn script(&self, what: &str) -> Command {
        // Held at the same time, so that they differ.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [control, node] = free.map(|socket| socket.local_addr().unwrap().port().to_string());
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/many/cluster.sh"));
        command.arg(what).arg(&self.folder.0).env("CONTROL_PORT", control).env("NODE_PORT", node);
        // Seventeen is beyond the largest task of an array, so that 24 runs are two arrays.
        command.env("MAX_ARRAY_SIZE", "17").stdin(Stdio::null());
        command
    }

    fn conf(&self) -> PathBuf {
        self.folder.0.join("slurm.conf")
    }

    /// Calls a command of Slurm, and returns what it has written.
    fn call(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = Command::new(words[0]).args(&words[1..]).env("SLURM_CONF", self.conf()).output().unwrap();
        assert!(output.status.success(), "{line}: {}", said(&output));
        said(&output)
    }

    fn sweep(&self, sweep: &Sweep, more: &[&str]) -> String {
        let output = sweep.command("out", more).env("SLURM_CONF", self.conf()).output().unwrap();
        assert!(output.status.success(), "{more:?}: {}", said(&output));
        said(&output)
    }

    /// Waits for something, and says what is in the queue if it does not happen.
    fn wait(&self, what: &str, mut happened: impl FnMut() -> bool) {
        let start = Instant::now();
        while !happened() {
            let queue = || self.call("squeue --array");
            assert!(start.elapsed() < Duration::from_secs(120), "{what} did not happen:\n{}", queue());
            sleep(Duration::from_millis(5));
        }
    }

    /// Has a job start that was queued again, which Slurm lets wait for two minutes: a node refuses one that starts within the second
    /// in which it was ended there.
    fn start_now(&self, job: &str) {
        sleep(Duration::from_secs(3));
        self.call(&format!("scontrol update JobId={job} StartTime=now"));
    }

    fn wait_until_empty(&self) {
        self.wait("the end of all jobs", || {
            sleep(Duration::from_millis(200));
            self.call("squeue --noheader").trim().is_empty()
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.script("stop").output();
    }
}

/// The process that makes the run of this number.
fn process_of(out: &Path, number: usize) -> Option<u32> {
    let (out, number) = (out.display().to_string(), number.to_string());
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let process: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let words: Vec<String> =
            line.split(|byte| *byte == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
        let is = words.contains(&out) && words.windows(2).any(|w| w[0] == "--run" && w[1] == number);
        is.then_some(process)
    })
}

fn signal(process: u32, name: &str) {
    let kill = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status();
    assert!(kill.unwrap().success(), "{name} to {process}");
}

/// The job of a run, as `runs.tsv` has it.
fn job(sweep: &Sweep, number: &str) -> String {
    let runs = sweep.text("out/slurm/runs.tsv");
    let line = runs.lines().find(|line| line.split('\t').next() == Some(number)).unwrap();
    line.split('\t').nth(1).unwrap().to_owned()
}

/// A sweep of 24 runs, with one that is cancelled, one that is queued again, and one that fails: the table says so; the same command
/// submits what is missing, once; and in the end there are the bits of a sweep that nothing has disturbed.
#[cfg(target_os = "linux")]
#[test]
fn a_sweep_on_a_cluster() {
    if gpu().is_none() {
        return;
    }
    let Some(cluster) = Cluster::start() else { return };
    let rates = ["0.001", "0.002", "0.003", "0.005", "0.01", "0.02", "0.03", "0.05", "0.1", "0.2", "0.3", "0.5"];
    let flags = format!("--epochs 12 --seeds 2 --lr {}", rates.join(","));
    let sweep = Sweep::new("on-a-cluster", &flags);
    let out = sweep.folder.0.join("out");
    let submit =
        ["--launcher", "slurm", "--at-once", "2", "--slurm", "--partition=here --time=10:00 --comment='a sweep'"];

    // A file where the folder of checkpoints should be makes a run fail.
    let in_the_way = sweep.run("out", "0.003", 0).join("checkpoints");
    fs::create_dir_all(in_the_way.parent().unwrap()).unwrap();
    fs::write(&in_the_way, "").unwrap();
    let told = cluster.sweep(&sweep, &submit);
    says(
        &told,
        &["24 runs: 0 ended, 0 in the queue, 24 to submit", ": 16 runs", ": 8 runs", "behind them: table and page"],
    );

    // Processes are stopped in their middle, so that they cannot end before Slurm has told them to.
    let freeze = |runs: &[(usize, &str, usize)]| {
        let mut frozen = vec![None; runs.len()];
        cluster.wait("an update of each run", || {
            for (process, (number, rate, updates)) in frozen.iter_mut().zip(runs) {
                let run = sweep.run("out", rate, 0);
                if process.is_none() && rows(&run) >= *updates {
                    *process = process_of(&out, *number);
                    process.iter().for_each(|process| signal(*process, "STOP"));
                    assert!(!run.join("model.safetensors").exists(), "run {number} ended too soon");
                }
            }
            frozen.iter().all(Option::is_some)
        });
        frozen.into_iter().flatten().collect::<Vec<u32>>()
    };
    let frozen = freeze(&[(1, rates[0], 2), (2, rates[1], 2)]);
    let [cancelled, again] = ["1", "2"].map(|number| job(&sweep, number));
    cluster.call(&format!("scancel {cancelled}"));
    cluster.call(&format!("scontrol requeue {again}"));
    frozen.into_iter().for_each(|process| signal(process, "CONT"));
    let told = || cluster.sweep(&sweep, &["--status"]);
    cluster.wait("the end of what was cancelled", || line_of(&told(), 1).contains("interrupted"));
    says(line_of(&told(), 1), &["stopped; the same command again goes on from here"]);
    assert!(sweep.run("out", rates[0], 0).join("checkpoints").is_dir(), "no checkpoint was written");
    cluster.wait("the end of what was queued again", || line_of(&told(), 2).contains("waiting"));
    cluster.start_now(&again);
    says(line_of(&told(), 24), &["waiting"]);
    // Nothing is submitted twice, and nothing else while jobs are in the queue.
    let jobs = || ["1", "2", "24", "table"].map(|name| job(&sweep, name));
    let before = jobs();
    says(&cluster.sweep(&sweep, &submit), &["in the queue, ", "behind them: table and page"]);
    let after = jobs();
    assert!(before[0] != after[0] && before[1..3] == after[1..3] && before[3] != after[3], "{before:?} {after:?}");
    let mut other = sweep.command("out", &[&submit[..], &["--seeds", "3"]].concat());
    let output = other.env("SLURM_CONF", cluster.conf()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    says(&said(&output), &["with other flags, and its jobs are in the queue", "scancel"]);
    // The signal of the end of a job's time: the job goes on, too.
    let frozen = freeze(&[(1, rates[0], rows(&sweep.run("out", rates[0], 0)) + 2)]);
    cluster.call(&format!("scancel --batch --signal=TERM {}", after[0]));
    signal(frozen[0], "CONT");
    cluster.wait("the end of what had no time left", || line_of(&told(), 1).contains("waiting"));
    cluster.start_now(&after[0]);
    cluster.wait_until_empty();

    let told = cluster.sweep(&sweep, &["--status"]);
    says(&told, &["24 runs: 23 ended, 1 failed"]);
    says(line_of(&told, 3), &["failed", "room for a checkpoint"]);
    for name in ["out/table.md", "out/report.html"] {
        says(&sweep.text(name), &["Unfinished: 23 of 24", "Unfinished runs", "failed", "room for a checkpoint"]);
    }
    let log = sweep.text(&format!("out/slurm/run-{}.log", after[0]));
    assert_eq!(log.matches("continued from").count(), 2, "{log}");
    let log = sweep.text(&format!("out/slurm/run-{again}.log"));
    says(&log, &["REQUEUE", "stopped; the same command", "continued from", "has ended"]);

    fs::remove_file(&in_the_way).unwrap();
    says(&cluster.sweep(&sweep, &submit), &["24 runs: 23 ended, 0 in the queue, 1 to submit"]);
    let table = job(&sweep, "table");
    let told = cluster.sweep(&sweep, &submit);
    says(&told, &["24 runs: 23 ended, 1 in the queue, 0 to submit", &format!("job {table} behind them")]);
    cluster.wait_until_empty();
    let told = sweep.text(&format!("out/slurm/table-{table}.log"));
    assert!(told.contains("sgd: best at lr") && !told.contains("nfinished"), "{told}");
    says(&cluster.sweep(&sweep, &submit), &["24 runs: 24 ended, 0 in the queue, 0 to submit", "sgd: best at lr"]);
    assert!(cluster.call("squeue --noheader").trim().is_empty(), "all runs had ended");

    sweep.works("whole", &[]);
    sweep.same("whole", "out", &rates, 2);
}
