//! The language of known entropy that the program draws.

use velograd::data::{Dataset as _, Sizes, Split, excerpt, grammar};

use super::blocks::decoded;

/// The drawn language: other text for validation, the same for a seed on every machine, and a loss that none is below.
#[test]
fn a_grammar_is_drawn() {
    let sizes = Sizes { train: 20_000, test: 5_000 };
    let set = grammar::grammar(3, 50, sizes).unwrap();
    let again = grammar::grammar(3, 50, sizes).unwrap();
    assert_eq!((set.checksum(), set.seed()), (again.checksum(), Some(3)));
    assert_ne!(set.checksum(), grammar::grammar(4, 50, sizes).unwrap().checksum());
    let (train, test) = (decoded(&set, Split::Train), decoded(&set, Split::Test));
    assert_eq!((train.len(), test.len(), train.starts_with(&test[..200])), (19_950, 4_950, false));
    assert_eq!(set.least_loss(), Some(grammar::entropy_rate()));
    let loss = grammar::entropy_rate();
    assert!((0.3..1.0).contains(&loss), "{loss}");
    // Single characters are worth far more than text.
    let numbers = excerpt(&set, Split::Train, 29).unwrap();
    let single: f64 =
        numbers.frequent.iter().map(|f| f.count as f64 / numbers.counted as f64).map(|p| -p * p.ln()).sum();
    assert!(single > 2.5 * loss, "{single} {loss}");
    for wrong in [Sizes { train: 50, test: 0 }, Sizes { train: usize::MAX, test: 1 }] {
        assert_eq!(grammar::grammar(0, 50, wrong).err().unwrap().exit_code(), 2);
    }
}
