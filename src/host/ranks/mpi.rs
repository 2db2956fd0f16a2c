//! Ranks that are processes, and talk to each other through MPI.
//!
//! Nothing here waits within MPI. A rank sends, receives and looks from time to time whether that is done: so the processor is left to
//! whatever computes meanwhile, and a rank that does not come can be named.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    rc::Rc,
    time::{Duration, Instant},
};

use mpi::{
    Threading,
    environment::{Universe, initialize_with_threading, library_version},
    request,
    topology::SimpleCommunicator,
    traits::*,
};

use super::Launched;
use crate::{
    error::{Error, Result},
    training::ranks::{Exchange, Rank, Spent},
};

/// How long a rank asks without a pause whether a message is there, and how long it then sleeps between two questions.
const AWAKE: Duration = Duration::from_millis(1);
const NAP: Duration = Duration::from_micros(100);

/// An error that all ranks make is told once, by rank 0, which ends the others within this time.
const FIRST_WORD: Duration = Duration::from_secs(2);

/// The exit code of a program that panicked.
const PANICKED: u8 = 101;

/// MPI's processes. When this is dropped, all of them have to end.
pub(super) struct World {
    ranks: SimpleCommunicator,
    rank: Rank,
    /// Prints an error.
    tell: fn(Error),
    _universe: Universe,
}

impl World {
    /// Starts MPI.
    ///
    /// # Errors
    /// [`Error::Config`] if MPI does not know the processes that the launcher has started.
    pub(super) fn join(launched: &Launched, tell: fn(Error)) -> Result<Self> {
        let started = initialize_with_threading(Threading::Funneled);
        let (universe, _) = started.expect("MPI is started once");
        let ranks = universe.world();
        if ranks.size() as usize == launched.rank.of {
            return Ok(Self { ranks, rank: launched.rank, tell, _universe: universe });
        }
        let library = library_version().unwrap_or_default();
        let first = library.lines().next().and_then(|line| line.split(',').next()).unwrap_or("another MPI");
        let library = first.replace("Version:", "").split_whitespace().collect::<Vec<_>>().join(" ");
        let Launched { by, rank, .. } = launched;
        Err(Error::config(
            format!("{by} started {} processes, and {library} knows of {}", rank.of, ranks.size()),
            "launcher and program must be of one MPI: build with the launcher's (MPICC=mpicc.mpich or mpicc.openmpi), or take the \
             other launcher (mpirun.openmpi, mpirun.mpich; under Slurm, `srun --mpi=pmix` for Open MPI)",
        ))
    }

    /// Runs `work`. If it fails or panics, every rank ends.
    pub(super) fn run(&self, work: impl FnOnce() -> Result<ExitCode>) -> ExitCode {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(code)) => code,
            Ok(Err(error)) => self.end(Some(error)),
            Err(_) => self.end(None),
        }
    }

    /// Ends every rank, with the error of this one or because it has panicked.
    fn end(&self, error: Option<Error>) -> ! {
        let Rank { index, of } = self.rank;
        if index > 0 {
            std::thread::sleep(FIRST_WORD);
        }
        let code = error.as_ref().map_or(PANICKED, Error::exit_code);
        match error {
            Some(error) => {
                eprintln!("rank {index} of {of} ends, and the others with it:");
                (self.tell)(error);
            }
            None => eprintln!("rank {index} of {of} has panicked, and the others end with it"),
        }
        self.ranks.abort(code.into())
    }
}

/// The messages of a rank.
pub(super) struct Messages {
    world: Rc<World>,
    patience: Duration,
    spent: Spent,
}

impl Messages {
    pub(super) fn new(world: Rc<World>, patience: Duration) -> Self {
        Self { world, patience, spent: Spent::default() }
    }

    /// Hands `parts[r]` to rank r and receives as much as `received[r]` has room for from it.
    fn swap(&self, parts: &[Vec<u32>], received: &mut [Vec<u32>]) {
        let ranks = &self.world.ranks;
        let others = |r: &usize| *r != self.world.rank.index;
        request::scope(|scope| {
            let mut pending = Vec::new();
            for (r, into) in received.iter_mut().enumerate().filter(|(r, into)| others(r) && !into.is_empty()) {
                pending.push((r, ranks.process_at_rank(r as i32).immediate_receive_into(scope, &mut into[..])));
            }
            for (r, part) in parts.iter().enumerate().filter(|(r, part)| others(r) && !part.is_empty()) {
                let process = ranks.process_at_rank(r as i32);
                // What is sent and what is received differ in type.
                pending.push((r, process.immediate_send(scope, &part[..])));
            }
            let begun = Instant::now();
            while !pending.is_empty() {
                let asked = std::mem::take(&mut pending);
                pending =
                    asked.into_iter().filter_map(|(r, request)| request.test().err().map(|left| (r, left))).collect();
                match begun.elapsed() {
                    waited if waited > self.patience => self.give_up(pending.iter().map(|(r, _)| *r)),
                    waited if waited > AWAKE => std::thread::sleep(NAP),
                    _ => std::thread::yield_now(),
                }
            }
        });
    }

    /// Ends all ranks, since some do not come.
    fn give_up(&self, missing: impl Iterator<Item = usize>) -> ! {
        let mut missing: Vec<usize> = missing.collect();
        missing.sort_unstable();
        missing.dedup();
        let missing: Vec<String> = missing.iter().map(usize::to_string).collect();
        let message = format!("rank {} has not come within {} s", missing.join(", "), self.patience.as_secs());
        let hint = "look whether it is stuck, or slower than the others; a longer 'rank_timeout' waits longer";
        self.world.end(Some(Error::about("rank_timeout", message, hint)))
    }
}

impl Exchange for Messages {
    fn rank(&self) -> Rank {
        self.world.rank
    }

    fn scatter(&mut self, mut parts: Vec<Vec<u32>>) -> Result<Vec<Vec<u32>>> {
        assert_eq!(parts.len(), self.world.rank.of, "scatter: a part for each rank");
        let begun = Instant::now();
        let lengths: Vec<Vec<u32>> = parts.iter().map(|part| vec![part.len() as u32]).collect();
        let mut coming = vec![vec![0]; self.world.rank.of];
        self.swap(&lengths, &mut coming);
        let met = Instant::now();
        let mut received: Vec<Vec<u32>> = coming.iter().map(|length| vec![0; length[0] as usize]).collect();
        self.swap(&parts, &mut received);
        let me = self.world.rank.index;
        received[me] = std::mem::take(&mut parts[me]);
        self.spent.waiting += met - begun;
        self.spent.moving += met.elapsed();
        self.spent.bytes += 4 * parts.iter().map(|part| part.len() as u64).sum::<u64>();
        Ok(received)
    }

    fn gather(&mut self, words: &[u32]) -> Result<Vec<Vec<u32>>> {
        self.scatter(vec![words.to_vec(); self.world.rank.of])
    }

    fn spent(&self) -> Spent {
        self.spent
    }
}
