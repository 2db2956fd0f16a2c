// operand for activations in f32, loaded two numbers at a time, the first in the lower half of an integer. Mesa's lavapipe loads
// each number of each invocation by itself, so this halves the loads.
alias scalars = vec2<u64>;
alias floats = vec2<u64>;

fn from_scalars(four: scalars) -> vec4<f32> { return from_floats(four); }
fn from_floats(four: floats) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4<u32>(u32(four.x), u32(four.x >> 32u), u32(four.y), u32(four.y >> 32u)));
}
