// VRAdam, 1 of 3. Per block: sum of g*g, and of m*m for the m that this update will bring. One workgroup per block.
#import reduce
#import grid
#import blocks
#import average

struct Sizes { blocks: u32, one_minus_beta1: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> blocks: array<Block>;
@group(0) @binding(2) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> m: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> sums: array<vec4<f32>>; // [block] (sum g*g, sum m*m, 0, 0)

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = flat_group(group, groups);
    if index >= sizes.blocks { return; }
    let block = blocks[index];
    var of_gradient = vec4<f32>();
    var of_velocity = vec4<f32>();
    for (var i = lane; i < block.len4; i += LANES) {
        let g = grads[block.first4 + i];
        let m_new = average(m[block.first4 + i], sizes.one_minus_beta1, g);
        of_gradient = fma(g, g, of_gradient);
        of_velocity = fma(m_new, m_new, of_velocity);
    }
    let one = vec4<f32>(1.0);
    let total = reduce_sum(lane, vec4<f32>(dot(of_gradient, one), dot(of_velocity, one), 0.0, 0.0));
    if lane == 0u { sums[index] = total; }
}
