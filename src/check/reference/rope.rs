//! Rotary position embedding of queries and keys, and its gradient.
//!
//! Source: Su, Lu, Pan and others 2021, arXiv 2104.09864, equation 34, with the pairs of GPT-NeoX: channels i and i + d/2.

use super::expect_len;

/// `[n][places][3][heads][d]`: each pair of a query (part 0) or a key (1) as a complex number times
/// `exp(sign i place 10000^(-2 pair / d))`. The gradient is the rotation by the opposite angle, of sign -1.
pub fn rope(x: &[f64], [n, places, heads, d]: [usize; 4], sign: f64) -> Vec<f64> {
    expect_len("x", x.len(), n * places * 3 * heads * d);
    let mut y = x.to_vec();
    for (row, (x, y)) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)).enumerate() {
        let (part, place) = (row / heads % 3, row / heads / 3 % places);
        if part == 2 {
            continue;
        }
        for pair in 0..d / 2 {
            let angle = sign * place as f64 / 10_000_f64.powf(2.0 * pair as f64 / d as f64);
            let [re, im] = [x[pair], x[pair + d / 2]];
            y[pair] = re * angle.cos() - im * angle.sin();
            y[pair + d / 2] = re * angle.sin() + im * angle.cos();
        }
    }
    y
}

#[cfg(test)]
mod tests {
    use super::rope;

    /// Products of rotated queries and keys depend on the distance of their places alone, and rotating back gives the input.
    #[test]
    fn products_depend_on_the_distance() {
        let (places, d) = (9, 8);
        let row: Vec<f64> = (0..d).map(|i| f64::from(i as u32 * 37 % 11) - 5.0).collect();
        // A query, a key and a value of one head, the same at each place.
        let x: Vec<f64> = (0..places).flat_map(|_| row.iter().chain(row.iter().rev()).chain(&row).copied()).collect();
        let y = rope(&x, [1, places, 1, d], 1.0);
        let part = |place: usize, part: usize| &y[(3 * place + part) * d..][..d];
        let product = |query, key| part(query, 0).iter().zip(part(key, 1)).map(|(q, k)| q * k).sum::<f64>();
        for distance in 0..5 {
            assert!((product(distance, 0) - product(distance + 4, 4)).abs() < 1e-12);
        }
        assert!((product(1, 0) - product(0, 0)).abs() > 1e-3);
        assert_eq!(part(7, 2), row);
        let back = rope(&y, [1, places, 1, d], -1.0);
        assert!(back.iter().zip(&x).all(|(back, x)| (back - x).abs() < 1e-12));
    }
}
