// y[place][sample] = x[place][sample] + weight[place]: a learned embedding of the position.
#import grid

struct Sizes { len4: u32, n: u32, c4: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;       // [place][n][c4]
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;     // [place][c4]
@group(0) @binding(3) var<storage, read_write> y: array<vec4<scalar>>; // [place][n][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    y[i] = vec4<scalar>(vec4<f32>(x[i]) + weight[i / (sizes.n * sizes.c4) * sizes.c4 + i % sizes.c4]);
}
