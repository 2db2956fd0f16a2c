// Per block of the gradient: the sum of g*g. One workgroup per block.
#import reduce
#import grid
#import blocks

struct Sizes { blocks: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> blocks: array<Block>;
@group(0) @binding(2) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4<f32>>; // [block] (sum g*g, 0, 0, 0)

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = flat_group(group, groups);
    if index >= sizes.blocks { return; }
    let block = blocks[index];
    var squares = vec4<f32>();
    for (var i = lane; i < block.len4; i += LANES) {
        let g = grads[block.first4 + i];
        squares = fma(g, g, squares);
    }
    let total = reduce_sum(lane, squares);
    if lane == 0u { sums[index] = vec4<f32>(dot(total, vec4<f32>(1.0)), 0.0, 0.0, 0.0); }
}
