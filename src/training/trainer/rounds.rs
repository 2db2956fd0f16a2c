//! What ranks put together during a run: the shares of their batches, what their watchers request, and that they still agree.

use super::Trainer;
use crate::{
    data::Batch,
    error::{Error, Result},
    training::{
        Request, Watch,
        network::{Counts, Network, Place, State},
        ranks::{Exchange, Rank, Spent},
    },
};

/// The batches that wait to be put together, at most one of each rank.
#[derive(Default)]
pub(super) struct Round {
    /// Whether one of them is this rank's, and under way.
    pub(super) own: bool,
    /// The batches of all ranks.
    pub(super) batches: usize,
}

impl Round {
    /// Adds the shares of the round's batches, in their order, to the sums: each rank to its part of the gradient, and all to the rest.
    /// What a bucket of the gradient holds is handed over while the device computes the next.
    pub(super) async fn put_together(&mut self, network: &mut Network, exchange: &mut dyn Exchange) -> Result<()> {
        let Self { own, batches } = std::mem::take(self);
        let mut shares = vec![vec![]; exchange.rank().of];
        for bucket in network.buckets() {
            let words = if own { network.bucket().await? } else { vec![] };
            let slices = exchange.rank().all().map(|rank| rank.slice(bucket.len()));
            let slices = slices.map(|slice| if own { words[slice].to_vec() } else { vec![] }).collect();
            for (share, part) in shares.iter_mut().zip(exchange.scatter(slices)?) {
                share.extend(part);
            }
        }
        let Counts { counts, running } = if own { network.counts().await? } else { Counts::default() };
        let rest: Vec<u32> = counts.iter().chain(bytemuck::cast_slice(&running)).copied().collect();
        // The k-th batch of a round is rank k's.
        shares.iter().take(batches).for_each(|share| network.add_slice(bytemuck::cast_slice(share)));
        for words in exchange.gather(&rest)?.iter().take(batches) {
            let (counts, running) = words.split_at(4);
            network.add_counts(counts.try_into().expect("four"), bytemuck::cast_slice(running));
        }
        Ok(())
    }
}

impl Trainer {
    /// Compares the state of several ranks.
    pub(super) async fn assure_same(&mut self) -> Result<()> {
        if self.rank().has_others() {
            let state = self.network.state().await?;
            assure_same(self.exchange.as_mut(), &state)?;
        }
        Ok(())
    }

    /// What the ranks have spent on each other so far.
    pub fn spent(&self) -> Spent {
        self.exchange.spent()
    }

    /// Which of the ranks this is.
    pub fn rank(&self) -> Rank {
        self.exchange.rank()
    }

    /// One batch of an update of several ranks, which is this rank's if it is given: `number` counts it within the update, `all` says
    /// that it is the epoch's last. After it, the shares of as many batches as there are ranks are put together.
    pub(super) async fn train_together(
        &mut self,
        batch: Option<&Batch>,
        number: usize,
        begins: bool,
        all: bool,
        place: Place,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        if begins {
            let done = self.network.drain().await?;
            self.note(done, watch)?;
            self.network.begin_shares(place.first).await?;
        }
        if let Some(batch) = batch {
            self.network.share(batch, place).await?;
            self.round.own = true;
        }
        self.round.batches += 1;
        let closes = place.last || all;
        if closes || (number + 1).is_multiple_of(self.rank().of) {
            self.round.put_together(&mut self.network, self.exchange.as_mut()).await?;
        }
        if closes {
            let slice = self.network.slice().await?;
            let slices = self.exchange.gather(&slice)?;
            self.network.update_by(&slices, place)?;
        }
        Ok(())
    }
}

/// The strongest of what the watchers of all ranks request.
pub(super) fn agree(exchange: &mut dyn Exchange, own: Request) -> Result<Request> {
    const IN_ORDER: [Request; 4] = [Request::Continue, Request::Checkpoint, Request::Pause, Request::Stop];
    let own = IN_ORDER.iter().position(|request| *request == own).expect("all are listed") as u32;
    let most = exchange.gather(&[own])?.concat().into_iter().max().unwrap_or(own);
    Ok(IN_ORDER[most as usize])
}

/// Refuses to go on if the state of some rank differs from that of most.
pub(super) fn assure_same(exchange: &mut dyn Exchange, state: &State) -> Result<()> {
    let mut hasher = crc32fast::Hasher::new();
    for (name, words) in &state.buffers {
        hasher.update(name.as_bytes());
        hasher.update(bytemuck::cast_slice(words));
    }
    let sums = exchange.gather(&[hasher.finalize()])?.concat();
    let alike = |sum: u32| sums.iter().filter(|&&other| other == sum).count();
    let most = sums.iter().copied().rev().max_by_key(|&sum| alike(sum)).unwrap_or_default();
    let others: Vec<String> = (0..sums.len()).filter(|&r| sums[r] != most).map(|r| r.to_string()).collect();
    if others.is_empty() {
        return Ok(());
    }
    let message = format!("the weights of rank {} differ from those of the other ranks", others.join(", "));
    Err(Error::device(
        message,
        "all devices and their drivers must be the same; `velograd selftest` on each may tell more",
    ))
}
