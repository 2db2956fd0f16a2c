//! This process among several that a launcher, `mpirun` or `srun`, started to train one network together.

mod launcher;
#[cfg(feature = "mpi")]
mod mpi;
mod threads;

use std::{process::ExitCode, time::Duration};

pub use launcher::{Launched, launched};
pub use threads::{Thread, threads};

use super::signals::Stop;
use crate::{
    error::{Error, Result},
    training::{
        After, Point, Request, Watch,
        ranks::{Alone, Exchange, Rank},
    },
};

/// How long ranks that have stopped together wait for each other, which is to write a checkpoint.
const LAST_WORD: Duration = Duration::from_secs(600);

/// This process among the ranks, of which it may be the only one.
pub struct Ranks {
    launched: Launched,
    #[cfg(feature = "mpi")]
    world: Option<std::rc::Rc<mpi::World>>,
}

impl Ranks {
    /// Meets the other ranks, if a launcher started any. Must be called by the main thread, and once. `tell` prints the error with
    /// which this rank ends all.
    ///
    /// # Errors
    /// [`Error::Config`] if this build cannot meet them.
    pub fn join(tell: fn(Error)) -> Result<Self> {
        match launched() {
            Some(launched) if launched.rank.has_others() => Self::meet(launched, tell),
            _ => Ok(Self::alone()),
        }
    }

    #[cfg(not(feature = "mpi"))]
    fn meet(launched: Launched, _: fn(Error)) -> Result<Self> {
        let Launched { by, rank, .. } = launched;
        Err(Error::config(
            format!("{by} started the program {} times, and this build knows no MPI", rank.of),
            "`cargo build --release --features mpi` makes one that does; `scripts/setup.sh --mpi` brings what it needs. Trainings of \
             their own are started by `--launcher slurm` of a comparison, or without the launcher's variables (`env -u`)",
        ))
    }

    #[cfg(feature = "mpi")]
    fn meet(launched: Launched, tell: fn(Error)) -> Result<Self> {
        let world = mpi::World::join(&launched, tell)?;
        Ok(Self { launched, world: Some(std::rc::Rc::new(world)) })
    }

    /// The only rank.
    pub fn alone() -> Self {
        Self {
            launched: Launched::ALONE,
            #[cfg(feature = "mpi")]
            world: None,
        }
    }

    /// Which rank this is.
    pub fn rank(&self) -> Rank {
        self.launched.rank
    }

    /// Whether this rank is the one that prints, and writes files.
    pub fn is_first(&self) -> bool {
        self.rank().index == 0
    }

    /// What the launcher has said of this process.
    pub fn launched(&self) -> &Launched {
        &self.launched
    }

    /// The way to the other ranks. Whichever does not come for longer than `patience` is taken for stuck, and all are ended.
    pub fn exchange(&self, patience: Duration) -> Box<dyn Exchange> {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.world {
            return Box::new(mpi::Messages::new(world.clone(), patience));
        }
        let _ = patience;
        Box::new(Alone)
    }

    /// Returns what rank 0 hands over, on every rank.
    ///
    /// # Errors
    /// As [`Exchange::gather`].
    pub fn from_first(&self, text: &str, patience: Duration) -> Result<String> {
        let bytes: Vec<u32> = text.bytes().map(u32::from).collect();
        let first = self.exchange(patience).gather(&bytes)?.swap_remove(0);
        Ok(String::from_utf8_lossy(&first.into_iter().map(|byte| byte as u8).collect::<Vec<_>>()).into_owned())
    }

    /// The exit code of a run that was stopped by a signal, which may have reached only some of the ranks.
    ///
    /// # Errors
    /// As [`Exchange::gather`].
    pub fn signalled(&self, stop: &Stop) -> Result<ExitCode> {
        let own = u32::from(stop.exit_code().unwrap_or(0));
        let largest = self.exchange(LAST_WORD).gather(&[own])?.concat().into_iter().max().unwrap_or(own);
        Ok(ExitCode::from(largest as u8))
    }

    /// Runs `work` as this rank. If it fails or panics where there are others, its error is told and every rank ends: without that the
    /// others would wait for this one for ever.
    ///
    /// # Errors
    /// Those of `work`, if this is the only rank.
    pub fn run(&self, work: impl FnOnce() -> Result<ExitCode>) -> Result<ExitCode> {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.world {
            return Ok(world.run(work));
        }
        work()
    }
}

/// Watches a rank that writes nothing: it asks to stop if a signal has arrived.
pub struct Follower(pub Stop);

impl Watch for Follower {
    fn request(&mut self, at: Point) -> Result<Request> {
        let stops = self.0.exit_code().is_some() && at.after != After::Run;
        Ok(if stops { Request::Stop } else { Request::Continue })
    }
}
