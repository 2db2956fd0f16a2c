// The state behind the last place of an LSTM, which the next block goes on from. An invocation takes four units of a sample.
#import grid

struct Sizes { len4: u32, places: u32 } // len4: vectors of one state

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> y: array<vec4<scalar>>;          // [place][n][h4]
@group(0) @binding(2) var<storage, read> cells: array<vec4<f32>>;         // [place + 1][n][h4]
@group(0) @binding(3) var<storage, read_write> carried: array<vec4<f32>>; // [2][n][h4]: hidden, cells

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    carried[i] = vec4<f32>(y[(sizes.places - 1u) * sizes.len4 + i]);
    carried[sizes.len4 + i] = cells[sizes.places * sizes.len4 + i];
}
