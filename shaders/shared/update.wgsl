// The parts common to optimizers: the scalars of the update that really happens, and the guard.
#import blocks

// The host counts updates ahead of the device: it has not heard yet of the last few that the device skipped.
fn scalars_of_update(skipped: u32) -> vec4<f32> { return step.rows[min(skipped - step.skipped_known, 7u)]; }

// By the exponent's bits: a driver may assume that x != x is never true.
fn finite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u; }
