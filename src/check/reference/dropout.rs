//! Dropout (Srivastava et al. 2014), scaled in training.

use super::random::pcg4d;

/// What each element of an `[n, c]` activation is multiplied with: 0 with probability `p`, else 1/(1-p).
///
/// Channels are drawn four at a time from the counter (seed, batch, place of the four, layer).
pub fn mask([n, c]: [usize; 2], p: f64, seed: u32, batch: u32, layer: u32) -> Vec<f64> {
    let fours = c.div_ceil(4);
    let mut mask = Vec::with_capacity(n * c);
    for image in 0..n {
        for channel in 0..c {
            let place = (image * fours + channel / 4) as u32;
            let word = pcg4d([seed ^ 0x6472_6f70, batch, place, layer])[channel % 4];
            let draw = f64::from(word >> 8) / 16_777_216.0;
            mask.push(if draw >= p { 1.0 / (1.0 - p) } else { 0.0 });
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::mask;

    /// Of 40,000 elements a share `p` is dropped, in every channel, and the mean stays 1.
    #[test]
    fn a_share_is_dropped_and_the_mean_stays() {
        let (n, c, p) = (1000, 40, 0.3);
        let all = mask([n, c], p, 1, 2, 3);
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        for channel in 0..c {
            let dropped = (0..n).filter(|i| all[i * c + channel] == 0.0).count() as f64 / n as f64;
            assert!((dropped - p).abs() < 0.07, "channel {channel}: {dropped}");
        }
        assert_ne!(all, mask([n, c], p, 1, 3, 3), "another batch, another mask");
        assert_ne!(all, mask([n, c], p, 1, 2, 4), "another layer, another mask");
    }
}
