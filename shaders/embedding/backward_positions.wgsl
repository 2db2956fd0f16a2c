// d_weight[place] += the sum of d_y over the samples / scale. One invocation takes four channels of a place.
#import grid
#import scaler

struct Sizes { len4: u32, n: u32, c4: u32 } // len4: vectors of the weight

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<vec4<scalar>>;         // [place][n][c4]
@group(0) @binding(2) var<storage, read> scaler: Scaler;
@group(0) @binding(3) var<storage, read_write> d_weight: array<vec4<f32>>; // [place][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    let first = i / sizes.c4 * sizes.n * sizes.c4 + i % sizes.c4;
    var sum = vec4<f32>();
    for (var n = 0u; n < sizes.n; n++) { sum += vec4<f32>(d_y[first + n * sizes.c4]); }
    d_weight[i] += inverse_scale() * sum;
}
