//! How independent pieces of work are spread over processor cores.
//!
//! The core starts no thread itself, since a browser may have none. It hands a closure, which takes pieces of work
//! until none are left, to a [`Spread`], which may run the closure on several threads at once.

/// Calls the closure on at least one and at most the given number of threads at once, and returns when every call has
/// returned.
pub type Spread = fn(usize, &(dyn Fn() + Sync));

/// Runs the closure once, on the calling thread.
pub fn alone(_: usize, work: &(dyn Fn() + Sync)) {
    work();
}
