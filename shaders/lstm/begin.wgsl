// The state that an LSTM goes on from, where its first place finds it: the hidden state at place 0 of `previous` and the cells at
// place 0 of `cells`. The buffer keeps a copy of it, so that a batch can be run again from where it began. An invocation takes four
// units of a sample.
#import grid

struct Sizes { len4: u32 } // vectors of one state

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read_write> carried: array<vec4<f32>>;     // [4][n][h4]: hidden, cells, and both before the batch
@group(0) @binding(2) var<storage, read_write> previous: array<vec4<scalar>>; // [place][n][h4]
@group(0) @binding(3) var<storage, read_write> cells: array<vec4<f32>>;       // [place + 1][n][h4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    let hidden = carried[i];
    let cell = carried[sizes.len4 + i];
    carried[2u * sizes.len4 + i] = hidden;
    carried[3u * sizes.len4 + i] = cell;
    previous[i] = vec4<scalar>(hidden);
    cells[i] = cell;
}
