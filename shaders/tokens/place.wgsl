// x[place][n] = tokens[n][place]: the tokens of a batch in the order in which activations are stored. A token that the vocabulary
// does not have becomes its last one, so that whatever the buffer holds is an index of a row.
#import grid

struct Sizes { len: u32, n: u32, length: u32, last: u32 } // len: n * length; last: the largest token

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;     // [n][length]
@group(0) @binding(2) var<storage, read_write> x: array<u32>;    // [length][n]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len { return; }
    x[i] = min(tokens[i % sizes.n * sizes.length + i / sizes.n], sizes.last);
}
