// y = the first of three equal parts of own's channels, and the others of memory's.
#import grid

struct Sizes { len4: u32, c4: u32 } // c4: vectors of a part

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> own: array<vec4<scalar>>;    // [place][n][3][c4]
@group(0) @binding(2) var<storage, read> memory: array<vec4<scalar>>; // [place][n][3][c4]
@group(0) @binding(3) var<storage, read_write> y: array<vec4<scalar>>; // [place][n][3][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    if i % (3u * sizes.c4) < sizes.c4 { y[i] = own[i]; } else { y[i] = memory[i]; }
}
