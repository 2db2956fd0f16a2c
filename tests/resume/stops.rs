use std::{
    fs,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, SystemTime},
};

use velograd::{host::checkpoint, random::Rng};

use super::run::{begun, equal, files, left, place, rows, said, same, signal, start, start_with, wait_for, whole};
use crate::{folder::says, support::gpu};

/// SIGKILL at random moments: after some time, after a row, or when a checkpoint is partly written. There are as many
/// as `VELOGRAD_KILLS` says for each optimizer, a dozen by default; every run that ends is compared, and another is
/// started.
#[test]
fn killed_anywhere() {
    if gpu().is_some() {
        ["velograd", "muon", "sgd"].into_iter().for_each(killed_anywhere_under);
    }
}

fn killed_anywhere_under(optimizer: &str) {
    let kills: u32 = std::env::var("VELOGRAD_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    let mut rng = Rng::new(seed);
    let (folder, expected) = (place(&format!("killed-{optimizer}")), whole(optimizer));
    let (mut done, mut ended, mut torn) = (0, 0, 0);
    let (run, checkpoints) = (folder.0.join("run"), folder.0.join("run/checkpoints"));
    while done < kills {
        let mut child = start_with(&folder, &["--optimizer", optimizer]);
        let way = rng.u32() % 3;
        let alive = match way {
            0 => {
                sleep(Duration::from_millis(u64::from(rng.u32() % 900)));
                child.try_wait().unwrap().is_none()
            }
            1 => {
                let until = rows(&run) + 1 + rng.u32() as usize % 4;
                wait_for(&mut child, || rows(&run) >= until)
            }
            _ => {
                // The leftovers of the last kill are removed when the run is continued.
                let old: Vec<_> = files(&checkpoints).collect();
                let fresh = |name: &String| name.ends_with(".part") && !old.contains(name);
                wait_for(&mut child, || files(&checkpoints).any(|name| fresh(&name)))
            }
        };
        if alive {
            child.kill().unwrap();
            done += 1;
        }
        let output = child.wait_with_output().unwrap();
        assert!(!said(&output).contains("panicked"), "{optimizer}, seed {seed}, kill {done}: {}", said(&output));
        torn += u32::from(files(&checkpoints).any(|name| name.ends_with(".part")));
        if !alive {
            assert!(output.status.success(), "{optimizer}, seed {seed}, kill {done}: {}", said(&output));
            equal(&run, &expected, &format!("{optimizer}, seed {seed}, {done} kills"));
            fs::remove_dir_all(&run).unwrap();
            ended += 1;
        }
    }
    let output = start_with(&folder, &["--optimizer", optimizer]).wait_with_output().unwrap();
    assert!(output.status.success(), "{optimizer}, seed {seed}: {}", said(&output));
    equal(&run, &expected, &format!("{optimizer}, seed {seed}, {done} kills"));
    println!("{optimizer}: {done} kills, {torn} of them within a checkpoint; {} runs ended the same", ended + 1);
}

/// On a signal the update is finished and a checkpoint written; the exit code is the signal's. A second signal ends the
/// process at once.
#[cfg(unix)]
#[test]
fn signals_stop_a_run() {
    if gpu().is_none() {
        return;
    }
    let folder = place("signals");
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let child = begun(&folder, 2);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        says(&said(&output), &["stopping", "stopped after update", "velograd train --resume run"]);
        // The checkpoint covers all that was logged.
        let newest = files(&folder.0.join("run/checkpoints")).max().unwrap();
        let loaded = checkpoint::load(&folder.0.join("run/checkpoints").join(newest)).unwrap();
        assert_eq!(loaded.checkpoint.position.step as usize, rows(&folder.0.join("run")));
    }
    let child = begun(&folder, 1);
    (0..2).for_each(|_| signal(&child, "INT"));
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    assert!(start(&folder).wait().unwrap().success());
    same(&folder.0.join("run"), "after three signals");
}

/// `compare` continues within the run that was interrupted.
#[cfg(unix)]
#[test]
fn an_experiment_goes_on_within_a_run() {
    if gpu().is_none() {
        return;
    }
    let folder = place("experiment");
    let compare = |out: &'static str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_velograd"));
        command.args("compare --data set --width 4 --epochs 2 --batch-size 16 --preset quick --seeds 1".split(' '));
        command.args(["--optimizers", "sgd,velograd", "--checkpoint-every", "1steps", "--out", out]);
        command.current_dir(&folder.0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    assert!(compare("whole").wait_with_output().unwrap().status.success());
    let mut child = compare("cut");
    let run = folder.0.join("cut/runs/velograd/seed-0");
    assert!(wait_for(&mut child, || rows(&run) >= 3));
    signal(&child, "INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    says(&said(&output), &["the same command again goes on"]);
    let mut child = compare("cut");
    assert!(wait_for(&mut child, || rows(&run) >= 6));
    child.kill().unwrap();
    child.wait().unwrap();
    let output = compare("cut").wait_with_output().unwrap();
    says(&said(&output), &["sgd, seed 0: ended before", "continued from"]);
    for name in ["sgd", "velograd"] {
        let run = |of: &str| folder.0.join(of).join("runs").join(name).join("seed-0");
        assert!(left(&run("whole")) == left(&run("cut")), "{name}");
        assert!(!run("cut").join("checkpoints").exists(), "the checkpoints of a run that has ended");
    }
}
