// Muon, 3 of 7. x = d/(||d|| + 1e-7), in place: singular values of at most 1, from which Newton-Schulz starts. One
// workgroup per block.
#import grid
#import blocks

struct Sizes { blocks: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> blocks: array<Block>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>; // [matrix] (1/(||d|| + 1e-7), .., .., ..)
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = flat_group(group, groups);
    if index >= sizes.blocks { return; }
    let block = blocks[index];
    let scale = table[block.segment].x;
    for (var k = lane; k < block.len4; k += 64u) { x[block.first4 + k] *= scale; }
}
