// Four numbers in a row of an operand, as a matrix core or attention loads them. operand_wide is the form for devices that load
// number by number, and have integers of 64 bits.
alias scalars = vec4<scalar>;
alias floats = vec4<f32>;

fn from_scalars(four: scalars) -> vec4<f32> { return vec4<f32>(four); }
fn from_floats(four: floats) -> vec4<f32> { return four; }
