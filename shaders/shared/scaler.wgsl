// The loss scale of mixed precision, which keeps small gradients above f16's smallest number. It is a power of two, stored as
// its exponent, so that scaling and unscaling do not round; all zeros, as in f32, mean a scale of 1.
//
// The importing file supplies `scaler`.
struct Scaler {
    exponent: u32, // 0 .. 126
    good: u32,     // updates in a row that were not skipped
}

fn scale() -> f32 { return bitcast<f32>((127u + scaler.exponent) << 23u); }

fn inverse_scale() -> f32 { return bitcast<f32>((127u - scaler.exponent) << 23u); }
