// What the expressions in a rule's header have and WGSL has not, as the host computes it.

// a - b*floor(a/b): it has the sign of b.
fn modulo(a: f32, b: f32) -> f32 { return a - b * floor(a / b); }

// WGSL leaves open what `pow` is below zero, where a whole power has a value, and at 0^0.
fn power(a: f32, b: f32) -> f32 {
    if b == 0.0 { return 1.0; }
    if a >= 0.0 || floor(b) != b { return pow(a, b); }
    return select(1.0, -1.0, modulo(b, 2.0) == 1.0) * pow(-a, b);
}
