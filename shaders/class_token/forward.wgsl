// y = the same learned token before the places of each sample, and then x.
#import grid

struct Sizes { len4: u32, first: u32, c4: u32 } // first: n * c4, where x begins

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;       // [place][n][c4]
@group(0) @binding(2) var<storage, read> token: array<vec4<f32>>;      // [c4]
@group(0) @binding(3) var<storage, read_write> y: array<vec4<scalar>>; // [1 + place][n][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    if i < sizes.first {
        y[i] = vec4<scalar>(token[i % sizes.c4]);
    } else {
        y[i] = x[i - sizes.first];
    }
}
