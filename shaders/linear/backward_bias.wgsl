// d_bias[k] += sum over images of d_y[n][k] / scale. One workgroup takes four outputs.
#import reduce
#import scaler

struct Sizes { rows: u32, c4: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<vec4<scalar>>;       // [n][k4]
@group(0) @binding(2) var<storage, read> scaler: Scaler;
@group(0) @binding(3) var<storage, read_write> d_bias: array<vec4<f32>>; // [k4]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    var sum = vec4<f32>();
    for (var row = lane; row < sizes.rows; row += LANES) { sum += vec4<f32>(d_y[row * sizes.c4 + group.x]); }
    sum = reduce_sum(lane, sum);
    if lane == 0u { d_bias[group.x] += inverse_scale() * sum; }
}
