//! Converts the floating-point types of weight files to f32.

use safetensors::Dtype;

/// Whether weights of this type can be read.
pub fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64)
}

/// The values of a tensor, little-endian as in safetensors, as f32. Each f16, bf16 and f32 is converted exactly, each
/// f64 to the nearest f32; infinities and NaNs remain.
///
/// # Errors
/// A text with the first finite f64 that is beyond the range of f32.
///
/// # Panics
/// If the type is none of these four ([`is_float`]).
pub fn to_f32(dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>, String> {
    Ok(match dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::F16 => bytes.as_chunks().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::BF16 => bytes.as_chunks().0.iter().map(|b| half::bf16::from_le_bytes(*b).to_f32()).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(|b| narrowed(f64::from_le_bytes(*b))).collect::<Result<_, _>>()?,
        other => panic!("to_f32: a tensor of {other:?}"),
    })
}

fn narrowed(value: f64) -> Result<f32, String> {
    let nearest = value as f32;
    if value.is_finite() && !nearest.is_finite() {
        return Err(format!("{value:e}, which is beyond the largest, {:e}", f32::MAX));
    }
    Ok(nearest)
}

#[cfg(test)]
mod tests {
    use super::{Dtype, to_f32};

    #[test]
    fn values_are_converted_or_refused() {
        let exact = [0.0_f32, -0.0, 1.0, -2.5, 0.000_030_517_578];
        let halves: Vec<u8> = exact.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect();
        let brains: Vec<u8> = exact.iter().flat_map(|&v| half::bf16::from_f32(v).to_le_bytes()).collect();
        let singles: Vec<u8> = exact.iter().flat_map(|v| v.to_le_bytes()).collect();
        let doubles: Vec<u8> = exact.iter().flat_map(|&v| f64::from(v).to_le_bytes()).collect();
        for (dtype, bytes) in
            [(Dtype::F16, &halves), (Dtype::BF16, &brains), (Dtype::F32, &singles), (Dtype::F64, &doubles)]
        {
            let found = to_f32(dtype, bytes).unwrap();
            assert!(found.iter().zip(&exact).all(|(a, b)| a.to_bits() == b.to_bits()), "{dtype:?}: {found:?}");
        }
        let of = |value: f64| to_f32(Dtype::F64, &value.to_le_bytes());
        assert_eq!(of(0.1).unwrap(), [0.1_f32], "to the nearest");
        assert_eq!(of(1e-300).unwrap(), [0.0]);
        assert!(of(f64::from(f32::MAX)).is_ok() && of(-f64::from(f32::MAX)).is_ok());
        assert!(of(1e39).unwrap_err().contains("1e39, which is beyond"));
        assert_eq!(of(f64::INFINITY).unwrap(), [f32::INFINITY]);
        assert!(of(f64::NAN).unwrap()[0].is_nan());
        assert_eq!(to_f32(Dtype::F16, &half::f16::NEG_INFINITY.to_le_bytes()).unwrap(), [f32::NEG_INFINITY]);
        assert!(to_f32(Dtype::BF16, &half::bf16::NAN.to_le_bytes()).unwrap()[0].is_nan());
    }
}
