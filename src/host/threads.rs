//! Threads for work that falls into independent pieces.

use std::thread;

/// A [`Spread`](crate::parallel::Spread) over the processor's cores.
pub fn on_all_cores(most: usize, work: &(dyn Fn() + Sync)) {
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        for _ in 1..threads.min(most) {
            // If a thread cannot be started, only time is lost: this thread takes all pieces that are left.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
}
