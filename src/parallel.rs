//! How work that falls into independent pieces is spread over processor cores, by whoever has threads.
//!
//! The core starts no thread: a browser has none to start. Where pieces of work do not depend on each other, it hands a closure that
//! takes pieces until none are left to a [`Spread`], which may run it on several threads at once.

/// Calls the closure on at most so many threads at once, on at least one, and returns when every call has returned.
pub type Spread = fn(usize, &(dyn Fn() + Sync));

/// Does all the work on the calling thread.
pub fn alone(_: usize, work: &(dyn Fn() + Sync)) {
    work();
}
