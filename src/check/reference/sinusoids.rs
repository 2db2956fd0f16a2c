//! Positions by sines and cosines.
//!
//! Source: Vaswani, Shazeer, Parmar and others 2017, arXiv 1706.03762, section 3.5.

/// `[place][c]`: of a pair of channels 2i and 2i + 1 the sine and the cosine of `place / 10000^(2i / c)`.
pub fn sinusoids(places: usize, c: usize) -> Vec<f64> {
    let mut rows = vec![0.0; places * c];
    for (place, row) in rows.chunks_exact_mut(c).enumerate() {
        for (i, pair) in row.chunks_mut(2).enumerate() {
            let angle = place as f64 / 10_000_f64.powf(2.0 * i as f64 / c as f64);
            for (value, function) in pair.iter_mut().zip([f64::sin, f64::cos]) {
                *value = function(angle);
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::sinusoids;

    /// The row of a place is that of place 0 after as many turns by the same angles: products depend on the distance alone.
    #[test]
    fn products_depend_on_the_distance() {
        let (places, c) = (12, 10);
        let rows = sinusoids(places, c);
        let product = |a: usize, b: usize| -> f64 { (0..c).map(|i| rows[a * c + i] * rows[b * c + i]).sum() };
        for distance in 0..6 {
            assert!((product(0, distance) - product(5, 5 + distance)).abs() < 1e-12);
        }
        assert_eq!(&rows[..4], [0.0, 1.0, 0.0, 1.0]);
        assert_eq!((rows[c], rows[c + 1]), (1_f64.sin(), 1_f64.cos()));
    }
}
