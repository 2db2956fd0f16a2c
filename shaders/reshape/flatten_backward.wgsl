// d_x[pixel][n][c] = d_y[n][(c * pixels) + pixel]; 0 in padded channels.
#import grid

struct Sizes { len4: u32, n: u32, c: u32, c4: u32, pixels: u32, stride: u32 } // as in reshape/flatten

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<scalar>;             // [n][stride]
@group(0) @binding(2) var<storage, read_write> d_x: array<vec4<scalar>>; // [pixel][n][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    let first = 4u * (i % sizes.c4);
    let n = i / sizes.c4 % sizes.n;
    let pixel = i / (sizes.c4 * sizes.n);
    var value = vec4<f32>();
    if ACCUMULATE { value = vec4<f32>(d_x[i]); }
    for (var k = 0u; k < 4u; k++) {
        if first + k < sizes.c { value[k] += f32(d_y[n * sizes.stride + (first + k) * sizes.pixels + pixel]); }
    }
    d_x[i] = vec4<scalar>(value);
}
