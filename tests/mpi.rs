//! Ranks that are processes: `mpirun -n N velograd train`.

use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitCode, Output, Stdio},
    time::{Duration, Instant},
};

use velograd::{error::Result, host::ranks::Ranks};

use crate::folder::{Folder, says};

/// How soon everything has to have ended after a rank has failed.
const SECONDS: Duration = Duration::from_secs(20);

const TRAIN: [&str; 14] = [
    "train",
    "--dataset",
    "shapes10",
    "--model-set",
    "width=8",
    "--epochs",
    "1",
    "--batch-size",
    "8",
    "--selftest",
    "off",
    "--augment",
    "paper",
    "--quiet",
];

/// Whether ranks can be started here.
fn launcher() -> bool {
    let found = Command::new("mpirun").arg("--version").stdout(Stdio::null()).status().is_ok_and(|s| s.success());
    assert!(found || std::env::var_os("VELOGRAD_REQUIRE_MPI").is_none(), "there is no mpirun");
    if !found {
        eprintln!("skipped: there is no mpirun; scripts/setup.sh --mpi brings it");
    }
    found && crate::support::gpu().is_some()
}

/// `mpirun -n RANKS` of a program, with what Open MPI wants to hear on few processors, and as root.
fn mpirun(folder: &Folder, ranks: usize, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    let told = [
        ("OMPI_ALLOW_RUN_AS_ROOT", "1"),
        ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
        ("OMPI_MCA_rmaps_base_oversubscribe", "1"),
        ("OMPI_MCA_hwloc_base_binding_policy", "none"),
    ];
    command.args(["-n", &ranks.to_string(), program]).args(arguments).envs(told);
    command.env("VELOGRAD_CACHE", folder.0.join("cache")).current_dir(&folder.0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn velograd(folder: &Folder, ranks: usize, arguments: &[&str]) -> Command {
    mpirun(folder, ranks, env!("CARGO_BIN_EXE_velograd"), &[&TRAIN[..], arguments].concat())
}

/// The first rank with some arguments more, the second with others.
fn unlike(folder: &Folder, first: &str, second: &str, arguments: &[&str]) -> Output {
    let script = format!(
        "case ${{OMPI_COMM_WORLD_RANK:-$PMI_RANK}} in 0) own='{first}';; *) own='{second}';; esac; exec '{}' \"$@\" $own",
        env!("CARGO_BIN_EXE_velograd")
    );
    mpirun(folder, 2, "sh", &[&["-c", &script, "velograd"], &TRAIN[..], arguments].concat()).output().unwrap()
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", said(output));
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

fn assert_same(folder: &Folder, run: &str, other: &str) {
    for file in ["model.safetensors", "steps.jsonl"] {
        let [a, b] = [run, other].map(|run| fs::read(folder.0.join(run).join(file)).unwrap());
        assert!(a == b, "{file} of {run} and {other}");
    }
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !there() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts two ranks on a run that does not end, and waits until it has a checkpoint.
fn under_way(folder: &Folder, out: &str, arguments: &[&str]) -> Child {
    let run = ["--accumulate", "4", "--checkpoint-every", "3steps", "--epochs", "50", "--out", out];
    let child = velograd(folder, 2, &[&run[..], arguments].concat()).spawn().unwrap();
    let checkpoints = folder.0.join(out).join("checkpoints");
    wait_for("a checkpoint", || {
        fs::read_dir(&checkpoints).is_ok_and(|files| files.flatten().any(|f| whole(&f.path())))
    });
    child
}

fn whole(checkpoint: &Path) -> bool {
    checkpoint.extension().is_some_and(|extension| extension == "safetensors")
}

/// Sends a signal to the rank of this number.
fn signal_rank(launcher: &Child, index: usize, signal: &str) {
    let variable = |variables: &[u8], name: &str| {
        let variables = String::from_utf8_lossy(variables).into_owned();
        variables.split('\0').find_map(|v| v.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    };
    let mut pids = vec![];
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let (Ok(environ), Ok(stat)) =
            (fs::read(process.path().join("environ")), fs::read_to_string(process.path().join("stat")))
        else {
            continue;
        };
        let rank = variable(&environ, "OMPI_COMM_WORLD_RANK").or_else(|| variable(&environ, "PMI_RANK"));
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        if rank == Some(index.to_string()) && parent == Some(launcher.id()) {
            pids.push(process.file_name().into_string().unwrap());
        }
    }
    let [pid] = &pids[..] else { panic!("rank {index}: {pids:?}") };
    send(signal, pid);
}

fn send(signal: &str, pid: &str) {
    assert!(Command::new("kill").args([signal, pid]).status().unwrap().success());
}

/// What a launcher has said and how it ended, which has to be soon.
fn ends(child: Child) -> Output {
    let begun = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(begun.elapsed() < SECONDS, "it took {:?}: {}", begun.elapsed(), said(&output));
    output
}

#[test]
fn processes_have_the_bits_of_one() {
    if !launcher() {
        return;
    }
    let folder = Folder::new("mpi-bits");
    let run = ["--max-steps", "5", "--accumulate", "4"];
    folder.works(&[&TRAIN[..], &run, &["--out", "alone"]].concat());
    for ranks in [2, 3, 4] {
        let out = format!("of-{ranks}");
        succeeds(&velograd(&folder, ranks, &[&run[..], &["--out", &out]].concat()).output().unwrap());
        assert_same(&folder, "alone", &out);
    }
    // Where nothing is said, an update has a batch for each rank.
    succeeds(&velograd(&folder, 3, &["--max-steps", "1", "--out", "unsaid"]).output().unwrap());
    says(&fs::read_to_string(folder.0.join("unsaid/config.toml")).unwrap(), &["accumulate = 3"]);
}

#[test]
fn a_killed_rank_ends_all_and_the_run_goes_on() {
    if !launcher() {
        return;
    }
    let folder = Folder::new("mpi-killed");
    let child = under_way(&folder, "killed", &["--max-steps", "60"]);
    signal_rank(&child, 1, "-KILL");
    assert!(!ends(child).status.success());
    let resume = ["train", "--resume", "killed", "--quiet"];
    let four = mpirun(&folder, 4, env!("CARGO_BIN_EXE_velograd"), &resume).output().unwrap();
    succeeds(&four);
    let run = ["--max-steps", "60", "--epochs", "50", "--accumulate", "4", "--out", "alone"];
    folder.works(&[&TRAIN[..], &run].concat());
    assert_same(&folder, "alone", "killed");
}

#[test]
fn a_stuck_rank_is_named() {
    if !launcher() {
        return;
    }
    let folder = Folder::new("mpi-stuck");
    let child = under_way(&folder, "stuck", &["--rank-timeout", "2"]);
    signal_rank(&child, 1, "-STOP");
    let output = ends(child);
    assert!(!output.status.success());
    says(&said(&output), &["rank 0 of 2 ends", "rank 1 has not come within 2 s", "a longer --rank-timeout"]);
}

#[test]
fn a_signal_stops_all_with_one_checkpoint() {
    if !launcher() {
        return;
    }
    let folder = Folder::new("mpi-signal");
    let child = under_way(&folder, "stopped", &[]);
    send("-USR1", &child.id().to_string());
    stopped(&folder, child, "stopped", 138);
    // So does one that reaches a single rank, and not the first.
    let child = under_way(&folder, "by-one", &[]);
    signal_rank(&child, 1, "-TERM");
    stopped(&folder, child, "by-one", 143);
}

fn stopped(folder: &Folder, child: Child, run: &str, code: i32) {
    let output = ends(child);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(text.matches("it goes on with").count(), 1, "{text}");
    let steps = fs::read_to_string(folder.0.join(run).join("steps.jsonl")).unwrap().lines().count();
    let newest = format!("{run}/checkpoints/step-{steps:09}.safetensors");
    assert!(folder.0.join(&newest).exists(), "{newest}");
}

#[test]
fn an_error_of_any_rank_ends_all() {
    if !launcher() {
        return;
    }
    let folder = Folder::new("mpi-error");
    let begun = Instant::now();
    let text = said(&unlike(&folder, "", "--data nowhere", &["--out", "one"]));
    says(&text, &["rank 1 of 2 ends, and the others with it", "nowhere"]);
    assert!(begun.elapsed() < SECONDS, "{text}");
    // What all find wrong is said once.
    let text = said(&velograd(&folder, 2, &["--accumulate", "1", "--out", "two"]).output().unwrap());
    assert_eq!(text.matches("error: --accumulate is 1, and 2 ranks train together").count(), 1, "{text}");
    let text = said(&velograd(&folder, 2, &["--debug-nan", "--out", "three"]).output().unwrap());
    says(&text, &["error: --debug-nan with several ranks"]);
    let text = said(&unlike(&folder, "", "--seed 1", &["--max-steps", "2", "--out", "four"]));
    says(&text, &["this rank differs from rank 0", "seed is 1, and 0 there"]);
    assert!(!folder.0.join("four/model.safetensors").exists());
}

/// Starts itself as two ranks, of which one panics while the other waits for it.
#[test]
fn a_panic_of_any_rank_ends_all() {
    const NAME: &str = "VELOGRAD_TEST_PANICS";
    if std::env::var_os(NAME).is_some() {
        let ranks = Ranks::join(|error| panic!("{error}")).unwrap();
        let patience = Duration::from_secs(300);
        let work = || -> Result<ExitCode> {
            assert!(ranks.is_first(), "the second rank panics");
            ranks.from_first("", patience)?;
            Ok(ExitCode::SUCCESS)
        };
        ranks.run(work).unwrap();
        return;
    }
    if !launcher() {
        return;
    }
    let folder = Folder::new("mpi-panic");
    let program = std::env::current_exe().unwrap();
    let own = ["mpi::a_panic_of_any_rank_ends_all", "--exact", "--nocapture", "--test-threads", "1"];
    let child = mpirun(&folder, 2, program.to_str().unwrap(), &own).env(NAME, "1").spawn().unwrap();
    let output = ends(child);
    assert_eq!(output.status.code(), Some(101), "{}", said(&output));
    says(&said(&output), &["the second rank panics", "rank 1 of 2 has panicked"]);
}
