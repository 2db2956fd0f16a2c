// d_beta += sum g / scale; d_gamma += sum g * x_hat / scale, unless FROZEN. Both sums are also kept for backward_apply, without
// the division by the loss scale. One workgroup takes four channels.
#import reduce
#import scaler
#import grid

struct Sizes { rows: u32, c4: u32, chunk_rows: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> partial: array<vec4<f32>>;       // [chunk][sum g, sum g*x_hat][c4]
@group(0) @binding(2) var<storage, read> scaler: Scaler;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4<f32>>;    // [sum g, sum g*x_hat][c4]
@group(0) @binding(4) var<storage, read_write> d_gamma: array<vec4<f32>>; // [c4]
@group(0) @binding(5) var<storage, read_write> d_beta: array<vec4<f32>>;  // [c4]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let c4 = flat_group(group, groups);
    if c4 >= sizes.c4 { return; }
    let chunks = (sizes.rows + sizes.chunk_rows - 1u) / sizes.chunk_rows;
    var sum = vec4<f32>();
    var dot = vec4<f32>();
    for (var chunk = lane; chunk < chunks; chunk += LANES) {
        sum += partial[chunk * 2u * sizes.c4 + c4];
        dot += partial[(chunk * 2u + 1u) * sizes.c4 + c4];
    }
    sum = reduce_sum(lane, sum);
    dot = reduce_sum(lane, dot);
    if lane == 0u {
        sums[c4] = sum;
        sums[sizes.c4 + c4] = dot;
        d_beta[c4] += inverse_scale() * sum;
        if !FROZEN { d_gamma[c4] += inverse_scale() * dot; }
    }
}
