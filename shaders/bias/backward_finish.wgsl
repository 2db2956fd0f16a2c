// d_bias += the sum over the chunks / scale. One workgroup takes four channels.
#import reduce
#import scaler
#import grid

struct Sizes { rows: u32, c4: u32, chunk_rows: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> partial: array<vec4<f32>>;      // [chunk][c4]
@group(0) @binding(2) var<storage, read> scaler: Scaler;
@group(0) @binding(3) var<storage, read_write> d_bias: array<vec4<f32>>; // [c4]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let c4 = flat_group(group, groups);
    if c4 >= sizes.c4 { return; }
    let chunks = (sizes.rows + sizes.chunk_rows - 1u) / sizes.chunk_rows;
    var sum = vec4<f32>();
    for (var chunk = lane; chunk < chunks; chunk += LANES) { sum += partial[chunk * sizes.c4 + c4]; }
    sum = reduce_sum(lane, sum);
    if lane == 0u { d_bias[c4] += inverse_scale() * sum; }
}
