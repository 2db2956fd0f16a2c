//! Ranks that are threads of one process.

use std::sync::mpsc::{Receiver, Sender, channel};

use crate::{
    error::{Error, Result},
    training::ranks::{Exchange, Rank},
};

/// A rank that is a thread of this process, and talks to the others through channels. It may have a device of its own or share one.
pub struct Thread {
    rank: Rank,
    to: Vec<Sender<Vec<u32>>>,
    from: Vec<Receiver<Vec<u32>>>,
}

/// So many ranks, one for each thread.
pub fn threads(ranks: usize) -> Vec<Thread> {
    let mut from: Vec<Vec<_>> = (0..ranks).map(|_| vec![]).collect();
    let mut to: Vec<Vec<_>> = (0..ranks).map(|_| vec![]).collect();
    for senders in &mut to {
        for receivers in &mut from {
            let (sender, receiver) = channel();
            senders.push(sender);
            receivers.push(receiver);
        }
    }
    let ranks = (0..ranks).map(|index| Rank { index, of: ranks });
    ranks.zip(to.into_iter().zip(from)).map(|(rank, (to, from))| Thread { rank, to, from }).collect()
}

impl Exchange for Thread {
    fn rank(&self) -> Rank {
        self.rank
    }

    fn scatter(&mut self, parts: Vec<Vec<u32>>) -> Result<Vec<Vec<u32>>> {
        assert_eq!(parts.len(), self.rank.of, "scatter: a part for each rank");
        let ended = |rank: usize| Error::config(format!("rank {rank} has ended"), "its own message says why");
        for (rank, (to, part)) in self.to.iter().zip(parts).enumerate() {
            to.send(part).map_err(|_| ended(rank))?;
        }
        self.from.iter().enumerate().map(|(rank, from)| from.recv().map_err(|_| ended(rank))).collect()
    }

    fn gather(&mut self, words: &[u32]) -> Result<Vec<Vec<u32>>> {
        self.scatter(vec![words.to_vec(); self.rank.of])
    }
}
