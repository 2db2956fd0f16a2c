//! Metrics of language models from a loss, and of classifications from a confusion matrix.

/// How many tokens a model hesitates between, on the geometric mean: `exp` of its mean cross-entropy.
pub fn perplexity(loss: f64) -> f64 {
    loss.exp()
}

/// A mean cross-entropy in bits rather than in nats.
pub fn bits(loss: f64) -> f64 {
    loss / std::f64::consts::LN_2
}

/// How often each class was predicted for each true class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    /// Classes.
    pub classes: usize,
    /// `[true][predicted]`, row-major.
    pub counts: Vec<u64>,
}

/// Precision, recall and F1, each averaged over the classes, weighted by the number of true samples; 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighted {
    /// The share of the samples predicted as a class that is of that class.
    pub precision: f64,
    /// The share of the samples of a class that was predicted as that class; weighted, this is the accuracy.
    pub recall: f64,
    /// The harmonic mean of precision and recall of each class, then averaged.
    pub f1: f64,
}

impl Confusion {
    /// A matrix of zeros.
    pub fn new(classes: usize) -> Self {
        Self { classes, counts: vec![0; classes * classes] }
    }

    /// Samples counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Samples whose predicted class is their true class.
    pub fn hits(&self) -> u64 {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// Samples of class `truth` that were predicted as class `predicted`.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth * self.classes + predicted]
    }

    /// Hits per hundred samples; 0 for an empty matrix.
    pub fn accuracy_percent(&self) -> f64 {
        ratio(100.0 * self.hits() as f64, self.total() as f64)
    }

    /// Weighted precision, recall and F1, with 0 in place of a division by zero. The same as scikit-learn's
    ///
    /// ```python
    /// from sklearn.metrics import precision_recall_fscore_support
    /// precision, recall, f1, _ = precision_recall_fscore_support(true, predicted, average="weighted", zero_division=0)
    /// ```
    pub fn weighted(&self) -> Weighted {
        let total = self.total() as f64;
        let mut sum = Weighted { precision: 0.0, recall: 0.0, f1: 0.0 };
        for class in 0..self.classes {
            let hits = self.count(class, class) as f64;
            let truth = (0..self.classes).map(|other| self.count(class, other)).sum::<u64>() as f64;
            let predicted = (0..self.classes).map(|other| self.count(other, class)).sum::<u64>() as f64;
            let weight = ratio(truth, total);
            sum.precision += weight * ratio(hits, predicted);
            sum.recall += weight * ratio(hits, truth);
            sum.f1 += weight * ratio(2.0 * hits, truth + predicted);
        }
        sum
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    /// true = [0 x 5, 1 x 3, 2 x 2]; class 0: precision 4/6, recall 4/5, F1 8/11; class 1: precision 2/3, recall 2/3,
    /// F1 2/3; class 2: precision 1/1, recall 1/2, F1 2/3; weights 0.5, 0.3, 0.2.
    #[test]
    fn three_classes_by_hand() {
        let matrix = Confusion { classes: 3, counts: vec![4, 1, 0, 1, 2, 0, 1, 0, 1] };
        assert_eq!((matrix.total(), matrix.hits()), (10, 7));
        close(matrix.accuracy_percent(), 70.0);
        let weighted = matrix.weighted();
        close(weighted.precision, 0.5 * 4.0 / 6.0 + 0.3 * 2.0 / 3.0 + 0.2);
        close(weighted.recall, 0.7);
        close(weighted.f1, 0.5 * 8.0 / 11.0 + 0.5 * 2.0 / 3.0);
    }

    /// Class 1 is never predicted and class 2 never occurs: precision of 1 and recall of 2 are 0, not NaN.
    #[test]
    fn absent_classes_count_as_zero() {
        let matrix = Confusion { classes: 3, counts: vec![2, 0, 1, 1, 0, 0, 0, 0, 0] };
        close(matrix.accuracy_percent(), 50.0);
        let weighted = matrix.weighted();
        close(weighted.precision, 0.75 * 2.0 / 3.0);
        close(weighted.recall, 0.5);
        close(weighted.f1, 0.75 * 2.0 / 3.0);
    }

    #[test]
    fn empty_matrix_is_zero() {
        let matrix = Confusion::new(10);
        assert_eq!(matrix.accuracy_percent(), 0.0);
        assert_eq!(matrix.weighted(), Weighted { precision: 0.0, recall: 0.0, f1: 0.0 });
    }
}
