// Looks at the exponent's bits, since a driver may assume that x != x is never true.
fn finite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }
