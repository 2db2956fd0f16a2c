//! Initial weights that are computed from images: a convolution whose outputs are uncorrelated and have the same
//! variance over the patches that it sees (patch whitening; Page 2018 and Jordan 2024, arXiv 2404.00498, 3.2).

use crate::{
    data::{Dataset, Split},
    error::Result,
    ops::Normalize,
    program::params::{Init, Layout, Shape},
    training::weights::{Weights, put},
};

/// The number of images that patches are taken from: the first of the training set, as in airbench.
const IMAGES: usize = 5000;

/// Added to each eigenvalue, so that directions without variance are not amplified: airbench's value.
const EPS: f64 = 5e-4;

/// A square matrix as a list of rows.
type Matrix = Vec<Vec<f64>>;

/// The initial weights of a network: drawn from the seed ([`Weights::init`]), except that [`Init::Whiten`] filters are
/// computed from the training images. The first of these are the eigenvectors of the patches' second moments divided by
/// the square root of (eigenvalue + 5e-4), smallest eigenvalue first; the others are their negatives.
///
/// # Errors
/// [`Error::Config`](crate::error::Error::Config) if there are such filters and the set has no images; as
/// [`Dataset::read`].
///
/// # Panics
/// If such a convolution does not see images, or does not have two filters for each value of a patch.
pub fn first_weights(layout: &Layout, seed: u64, dataset: &dyn Dataset, normalize: Normalize) -> Result<Weights> {
    let mut weights = Weights::init(layout, seed);
    for segment in layout.params.iter().filter(|s| s.init == Init::Whiten) {
        let Shape::Filter { k, c: 3, r, s } = segment.shape else {
            panic!("whiten: {} of {:?} does not see images", segment.name, segment.shape);
        };
        let len = 3 * (r * s) as usize;
        assert!(r == s && k as usize == 2 * len, "whiten: {} filters for patches of {len} values", segment.name);
        put(&mut weights.params, segment, &filters(&second_moments(dataset, normalize, r as usize)?));
    }
    Ok(weights)
}

/// Mean over all patches of `side` by `side` pixels of the outer product of a patch, `[c][r][s]`, with itself.
fn second_moments(dataset: &dyn Dataset, normalize: Normalize, side: usize) -> Result<Matrix> {
    let len = 3 * side * side;
    let count = dataset.len(Split::Train).min(IMAGES);
    let (mut sums, mut patch) = (vec![vec![0.0; len]; len], vec![0.0; len]);
    let image = dataset.spec().image()?;
    let (height, width) = (image.height as usize, image.width as usize);
    let (mut bytes, mut pixels) = (vec![0; image.bytes()], vec![0.0; image.bytes()]);
    for index in 0..count {
        dataset.read(Split::Train, index, &mut bytes, &mut [0])?;
        for (i, (pixel, byte)) in pixels.iter_mut().zip(&bytes).enumerate() {
            let c = i / image.pixels();
            *pixel = (f64::from(*byte) / 255.0 - normalize.mean[c]) / normalize.std[c];
        }
        for top in 0..=height - side {
            for left in 0..=width - side {
                for (i, value) in patch.iter_mut().enumerate() {
                    let (c, r, s) = (i / (side * side), i / side % side, i % side);
                    *value = pixels[(c * height + top + r) * width + left + s];
                }
                for (i, row) in sums.iter_mut().enumerate() {
                    row[..=i].iter_mut().zip(&patch).for_each(|(sum, value)| *sum += patch[i] * value);
                }
            }
        }
    }
    let patches = (count * (height - side + 1) * (width - side + 1)) as f64;
    let at = |i: usize, j: usize| sums[i.max(j)][i.min(j)] / patches;
    Ok((0..len).map(|i| (0..len).map(|j| at(i, j)).collect()).collect())
}

/// The eigenvectors of `moments` divided by sqrt(eigenvalue + [`EPS`]), and their negatives.
fn filters(moments: &Matrix) -> Vec<f32> {
    let mut pairs = eigen(moments.clone());
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let of_sign = |sign: f64| {
        pairs.iter().flat_map(move |(value, vector)| {
            // An eigenvalue is at least 0, but rounding may make it smaller.
            let scale = sign / (value.max(0.0) + EPS).sqrt();
            vector.iter().map(move |v| (scale * v) as f32)
        })
    };
    of_sign(1.0).chain(of_sign(-1.0)).collect()
}

/// Eigenvalues of a symmetric matrix and their unit eigenvectors, each with its largest component positive: cyclic
/// Jacobi rotations (Golub and Van Loan, Matrix Computations, 8.5).
fn eigen(mut a: Matrix) -> Vec<(f64, Vec<f64>)> {
    let n = a.len();
    let mut vectors: Matrix = (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    let scale = a.iter().flatten().fold(0.0, |largest: f64, v| largest.max(v.abs()));
    // Jacobi's method converges quadratically after a few sweeps; a 12 by 12 matrix takes about seven.
    for _ in 0..50 {
        let off = (0..n).flat_map(|p| (0..p).map(move |q| (p, q))).map(|(p, q)| a[p][q].abs()).fold(0.0, f64::max);
        if off <= 1e-15 * scale {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let angle = 0.5 * (2.0 * a[p][q]).atan2(a[q][q] - a[p][p]);
                let (sin, cos) = angle.sin_cos();
                let rotate = |x: &mut f64, y: &mut f64| (*x, *y) = (cos * *x - sin * *y, sin * *x + cos * *y);
                for row in &mut a {
                    let (left, right) = row.split_at_mut(q);
                    rotate(&mut left[p], &mut right[0]);
                }
                for matrix in [&mut a, &mut vectors] {
                    let (above, below) = matrix.split_at_mut(q);
                    above[p].iter_mut().zip(&mut below[0]).for_each(|(x, y)| rotate(x, y));
                }
            }
        }
    }
    let signed = |(i, mut vector): (usize, Vec<f64>)| {
        let largest = vector.iter().copied().fold(0.0, |most: f64, v| if v.abs() > most.abs() { v } else { most });
        vector.iter_mut().for_each(|v| *v *= largest.signum());
        (a[i][i], vector)
    };
    vectors.into_iter().enumerate().map(signed).collect()
}

#[cfg(test)]
mod tests {
    use super::{EPS, Matrix, eigen, filters, second_moments};
    use crate::{
        data::{Shapes10, Sizes},
        ops::Normalize,
    };

    fn product(a: &Matrix, b: &[f64]) -> Vec<f64> {
        a.iter().map(|row| row.iter().zip(b).map(|(x, y)| x * y).sum()).collect()
    }

    /// `a v = lambda v`, and the vectors are orthonormal.
    #[test]
    fn eigenvectors_are_what_they_claim() {
        let n = 12;
        let at = |i: usize, j: usize| ((i * 7 + j * 7) % 11) as f64 - 3.0 + if i == j { i as f64 } else { 0.0 };
        let a: Matrix = (0..n).map(|i| (0..n).map(|j| at(i, j)).collect()).collect();
        let pairs = eigen(a.clone());
        for (i, (value, vector)) in pairs.iter().enumerate() {
            for (found, v) in product(&a, vector).iter().zip(vector) {
                assert!((found - value * v).abs() < 1e-11, "eigenvalue {value}: {found} is not {}", value * v);
            }
            for (j, (_, other)) in pairs.iter().enumerate() {
                let dot: f64 = vector.iter().zip(other).map(|(x, y)| x * y).sum();
                assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-12, "vectors {i} and {j}: {dot}");
            }
        }
    }

    /// The second moments of filtered patches are `lambda / (lambda + eps)` on the diagonal and 0 elsewhere.
    #[test]
    fn patches_are_white() {
        let dataset = Shapes10::new(1, Sizes { train: 30, test: 0 }).unwrap();
        let moments = second_moments(&dataset, Normalize::CIFAR10, 2).unwrap();
        let filters: Vec<f64> = filters(&moments).iter().map(|&v| f64::from(v)).collect();
        let rows: Vec<&[f64]> = filters.chunks(12).collect();
        assert_eq!(rows.len(), 24);
        for i in 0..12 {
            assert!(rows[i].iter().zip(rows[12 + i]).all(|(a, b)| *a == -b), "filter {i} and its negative");
            for j in 0..12 {
                let moment: f64 = product(&moments, rows[j]).iter().zip(rows[i]).map(|(x, y)| x * y).sum();
                let length: f64 = rows[i].iter().map(|v| v * v).sum();
                let expected = if i == j { 1.0 - EPS * length } else { 0.0 };
                assert!((moment - expected).abs() < 1e-4, "filters {i} and {j}: {moment} is not {expected}");
            }
        }
    }
}
