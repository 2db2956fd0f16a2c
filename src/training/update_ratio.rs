//! How far an update moves the parameters.

use crate::program::params::{Layout, Segment};

/// How far an update has moved a parameter tensor w.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateRatio {
    /// The tensor's name, as in torchvision.
    pub name: String,
    /// |w after - w before| / |w before|, in 2-norms; infinite or NaN if w was all zeros.
    pub ratio: f64,
}

/// The ratios of the tensors that are trained, from the arena of parameters before and after an update.
///
/// # Panics
/// If an arena is shorter than the layout.
pub fn update_ratios(layout: &Layout, before: &[f32], after: &[f32]) -> Vec<UpdateRatio> {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let trained = layout.params.iter().filter(|segment| !segment.frozen());
    let ratio = |segment: &Segment| {
        // The padding within a tensor is 0 before and after.
        let range = segment.offset as usize..(segment.offset + segment.shape.stored()) as usize;
        let (before, after) = (&before[range.clone()], &after[range]);
        let moved = norm(&mut before.iter().zip(after).map(|(b, a)| f64::from(*a) - f64::from(*b)));
        let ratio = moved / norm(&mut before.iter().copied().map(f64::from));
        UpdateRatio { name: segment.name.clone(), ratio }
    };
    trained.map(ratio).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::params::{Init, Role, Shape};

    #[test]
    fn ratios_are_of_the_tensors_that_are_trained() {
        let mut layout = Layout::default();
        let (shape, init) = (Shape::Vector { c: 3 }, Init::Constant(0.0));
        layout.param("weight".into(), shape, init, true);
        layout.param_of(Role::Frozen, "fixed".into(), shape, init, false);
        layout.param("bias".into(), shape, init, true);
        let mut before = vec![0.0; layout.param_floats() as usize];
        before[..3].copy_from_slice(&[3.0, 0.0, 4.0]);
        let mut after = before.clone();
        (after[1], after[layout.params[2].offset as usize]) = (0.5, 1.0);
        let ratios = update_ratios(&layout, &before, &after);
        assert_eq!(ratios[0], UpdateRatio { name: "weight".into(), ratio: 0.1 });
        assert_eq!((ratios.len(), ratios[1].ratio), (2, f64::INFINITY));
    }
}
