// d_x = the part of d_y that x was taken for, the first of three (OWN) or the others, and 0 elsewhere.
#import grid

struct Sizes { len4: u32, c4: u32 } // c4: vectors of a part

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<vec4<scalar>>;       // [place][n][3][c4]
@group(0) @binding(2) var<storage, read_write> d_x: array<vec4<scalar>>; // [place][n][3][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    var value = vec4<f32>();
    if (i % (3u * sizes.c4) < sizes.c4) == OWN { value = vec4<f32>(d_y[i]); }
    if ACCUMULATE { value += vec4<f32>(d_x[i]); }
    d_x[i] = vec4<scalar>(value);
}
