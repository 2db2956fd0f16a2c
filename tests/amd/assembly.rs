//! What a loop of multiply-adds consists of, read from AMD's assembly.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::Range};

/// The innermost loop with most of a kernel's multiply-adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 2]", into = "[u64; 2]")]
pub struct Loop {
    /// Instructions that multiply and add, of which some do it twice.
    pub multiply_adds: u64,
    /// All instructions.
    pub instructions: u64,
}

impl From<[u64; 2]> for Loop {
    fn from([multiply_adds, instructions]: [u64; 2]) -> Self {
        Self { multiply_adds, instructions }
    }
}

impl From<Loop> for [u64; 2] {
    fn from(of: Loop) -> Self {
        [of.multiply_adds, of.instructions]
    }
}

impl Loop {
    /// Multiply-adds in percent of all instructions.
    pub fn share(&self) -> f64 {
        100.0 * self.multiply_adds as f64 / self.instructions as f64
    }
}

/// How many multiply-adds an instruction does; those that only change a number's type (`v_fma_mix`) do not count.
fn multiply_adds(code: &str) -> usize {
    let operation = |word: &str| {
        let word = word.strip_prefix("v_").unwrap_or_default();
        let word = word.strip_prefix("dual_").or(word.strip_prefix("pk_")).unwrap_or(word);
        (word.starts_with("fma") && !word.starts_with("fma_mix"))
            || word.starts_with("dot2")
            || word.starts_with("wmma")
    };
    code.split_whitespace().filter(|word| operation(word)).count()
}

/// The loop of a kernel's multiply-adds: the shortest that has at least half of them; `None` if none has.
pub fn product_loop(assembly: &str) -> Option<Loop> {
    let mut codes: Vec<&str> = vec![];
    let mut labels: BTreeMap<&str, usize> = BTreeMap::new();
    for line in assembly.lines() {
        let code = line.split(';').next().unwrap_or_default().trim();
        match code.strip_suffix(':') {
            Some(label) => _ = labels.insert(label, codes.len()),
            None if code.is_empty() => {}
            None => codes.push(code),
        }
    }
    let back = |(at, code): (usize, &&str)| {
        let (operation, target) = code.split_once(char::is_whitespace)?;
        let first = *labels.get(target.trim())?;
        let jumps = operation.starts_with("s_branch") || operation.starts_with("s_cbranch");
        (jumps && first <= at).then_some(first..at + 1)
    };
    let count = |range: &Range<usize>| codes[range.clone()].iter().map(|code| multiply_adds(code)).sum::<usize>();
    let total = count(&(0..codes.len()));
    let loops = codes.iter().enumerate().filter_map(back).filter(|range| total > 0 && 2 * count(range) >= total);
    let body = &codes[loops.min_by_key(|range| range.len())?];
    let multiplying = body.iter().filter(|code| multiply_adds(code) > 0).count();
    Some(Loop { multiply_adds: multiplying as u64, instructions: body.len() as u64 })
}

/// A loop within a loop, with instructions of both generations; comments, labels and what only converts do not count.
#[test]
fn the_loop_of_multiply_adds_is_found() {
    let text = "BB0:\n s_mov_b32 s0, 0 ; be800080\nBB1:\n v_mov_b32 v0, 0 ; 7e000280\nBB2:\n v_fma_mix_f32 v1, v2, v3, v4\n\
                 \tv_fmac_f32_e32 v0, v1, v2                    ; 56000501\n v_dual_fmac_f32 v0, v1, v2 :: v_dual_fmac_f32 v3, v4, v5\n\
                 \ts_cbranch_scc1 BB2 ; bf85fffd\n s_branch BB1 ; bf82fffc\nBB3:\n s_endpgm ; bf810000\n";
    assert_eq!(product_loop(text), Some(Loop { multiply_adds: 2, instructions: 4 }));
    assert_eq!(product_loop("BB0:\n v_fmac_f32_e32 v0, v1, v2\n s_endpgm\n"), None);
    assert_eq!(product_loop("BB0:\n s_nop 0\n s_branch BB0\n"), None);
}
