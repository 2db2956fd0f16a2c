// VeloGrad, 1 of 5. Per block: the sums of g*g and of g*g_prev. One workgroup per block.
#import reduce
#import grid
#import blocks

struct Sizes { blocks: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> blocks: array<Block>;
@group(0) @binding(2) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> previous: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> sums: array<vec4<f32>>; // [block] (sum g*g, sum g*g_prev, 0, 0)

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = flat_group(group, groups);
    if index >= sizes.blocks { return; }
    let block = blocks[index];
    var squares = vec4<f32>();
    var products = vec4<f32>();
    for (var i = lane; i < block.len4; i += LANES) {
        let g = grads[block.first4 + i];
        squares = fma(g, g, squares);
        products = fma(g, previous[block.first4 + i], products);
    }
    let one = vec4<f32>(1.0);
    let total = reduce_sum(lane, vec4<f32>(dot(squares, one), dot(products, one), 0.0, 0.0));
    if lane == 0u { sums[index] = total; }
}
