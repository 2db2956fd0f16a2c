// y = queries, keys and values side by side, as attention takes them. One invocation takes four channels of each.
#import grid

struct Sizes { len4: u32, c4: u32 } // len4: vectors of each argument

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> query: array<vec4<scalar>>;   // [rows][c4]
@group(0) @binding(2) var<storage, read> key: array<vec4<scalar>>;     // [rows][c4]
@group(0) @binding(3) var<storage, read> value: array<vec4<scalar>>;   // [rows][c4]
@group(0) @binding(4) var<storage, read_write> y: array<vec4<scalar>>; // [rows][3][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    let first = i / sizes.c4 * 3u * sizes.c4 + i % sizes.c4;
    y[first] = query[i];
    y[first + sizes.c4] = key[i];
    y[first + 2u * sizes.c4] = value[i];
}
