// d_x = a third of d_y: the gradient of the queries, of the keys or of the values.
#import grid

struct Sizes { len4: u32, c4: u32, part: u32 } // len4: vectors of d_x; part: 0, 1 or 2

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<vec4<scalar>>;       // [rows][3][c4]
@group(0) @binding(2) var<storage, read_write> d_x: array<vec4<scalar>>; // [rows][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    var value = vec4<f32>(d_y[(i / sizes.c4 * 3u + sizes.part) * sizes.c4 + i % sizes.c4]);
    if ACCUMULATE { value += vec4<f32>(d_x[i]); }
    d_x[i] = vec4<scalar>(value);
}
