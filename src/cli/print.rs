//! Printing that survives a reader who has gone (`velograd plan | head`).

/// `println!` without the panic: what cannot be written to standard output is dropped.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout().lock(), $($argument)*);
    }};
}

pub(super) use say;
