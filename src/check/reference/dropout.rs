//! Dropout (Srivastava et al. 2014), with the kept elements scaled during training.

use super::random::pcg4d;

/// The factors on the elements of an activation `[n][c][h][w]`: 0 with probability `p`, else 1/(1-p). `samples` are the
/// `n` indices in the data set.
///
/// At each pixel of a sample, channels are drawn four at a time from the counter (seed combined with layer, epoch,
/// sample, index of the four channels within the sample).
pub fn mask(samples: &[u32], [c, h, w]: [usize; 3], p: f64, [seed, layer, epoch]: [u32; 3]) -> Vec<f64> {
    let fours = c.div_ceil(4);
    let mut mask = Vec::with_capacity(samples.len() * c * h * w);
    for &sample in samples {
        for channel in 0..c {
            for pixel in 0..h * w {
                let place = (pixel * fours + channel / 4) as u32;
                let word = pcg4d([seed ^ layer, epoch, sample, place])[channel % 4];
                let draw = f64::from(word >> 8) / 16_777_216.0;
                mask.push(if draw >= p { 1.0 / (1.0 - p) } else { 0.0 });
            }
        }
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::mask;

    /// A share `p` of 40,000 elements is dropped, in every channel, and the mean stays 1.
    #[test]
    fn a_share_is_dropped_and_the_mean_stays() {
        let (n, c, p) = (1000, 40, 0.3);
        let samples: Vec<u32> = (0..n as u32).collect();
        let all = mask(&samples, [c, 1, 1], p, [1, 2, 3]);
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        for channel in 0..c {
            let dropped = (0..n).filter(|i| all[i * c + channel] == 0.0).count() as f64 / n as f64;
            assert!((dropped - p).abs() < 0.07, "channel {channel}: {dropped}");
        }
        // Two independent masks agree on a share of 0.3^2 + 0.7^2 of the elements.
        for other in [[1, 2, 4], [1, 4, 3], [5, 2, 3]] {
            let other = mask(&samples, [c, 1, 1], p, other);
            let agree = all.iter().zip(&other).filter(|(a, b)| a == b).count() as f64 / all.len() as f64;
            assert!((agree - 0.58).abs() < 0.02, "another epoch, layer or seed: {agree}");
        }
    }

    /// A sample has the same mask in whatever batch it comes.
    #[test]
    fn a_sample_keeps_its_mask_in_any_batch() {
        let of = |samples: &[u32]| mask(samples, [6, 3, 2], 0.5, [1, 2, 3]);
        let (all, last) = (of(&[9, 4, 7]), of(&[7]));
        assert_eq!(all[2 * 36..], last);
        assert_ne!(all[..36], last);
    }
}
