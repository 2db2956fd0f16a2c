// Operators of the expressions in a rule's header that WGSL lacks, with the values that the host computes.

// a - b*floor(a/b), which has the sign of b.
fn modulo(a: f32, b: f32) -> f32 { return a - b * floor(a / b); }

// WGSL does not define `pow` below zero, where whole exponents have values, nor at 0^0.
fn power(a: f32, b: f32) -> f32 {
    if b == 0.0 { return 1.0; }
    if a >= 0.0 || floor(b) != b { return pow(a, b); }
    return select(1.0, -1.0, modulo(b, 2.0) == 1.0) * pow(-a, b);
}
