// g <- min(max(g, -limit), limit): torch.nn.utils.clip_grad_value_. Per block of the gradient it computes the sum of the new
// g*g, as norm/partial does, and adds the number of changed elements to the report. One workgroup per block.
//
// Elements that are not finite stay as they are, so that the guard finds them.
#import reduce
#import grid
#import blocks

struct Sizes { blocks: u32, limit: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> blocks: array<Block>;
@group(0) @binding(2) var<storage, read_write> grads: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4<f32>>;    // [block] (sum g*g, 0, 0, 0)
@group(0) @binding(4) var<storage, read_write> report: array<atomic<u32>>; // Report, as words

const CLIPPED = 3u; // report.clipped

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = flat_group(group, groups);
    if index >= sizes.blocks { return; }
    let block = blocks[index];
    let limit = vec4<f32>(sizes.limit);
    var squares = vec4<f32>();
    var changed = vec4<u32>();
    for (var i = lane; i < block.len4; i += LANES) {
        var g = grads[block.first4 + i];
        let finite = (bitcast<vec4<u32>>(g) & vec4<u32>(0x7f800000u)) != vec4<u32>(0x7f800000u);
        let beyond = finite & (abs(g) > limit);
        if any(beyond) {
            g = select(g, clamp(g, -limit, limit), beyond);
            grads[block.first4 + i] = g;
            changed += select(vec4<u32>(), vec4<u32>(1u), beyond);
        }
        squares = fma(g, g, squares);
    }
    let total = reduce_sum(lane, squares);
    let counts = reduce_sum(lane, vec4<f32>(changed)); // at most 16,384 in all, which f32 counts exactly
    if lane == 0u {
        let one = vec4<f32>(1.0);
        sums[index] = vec4<f32>(dot(total, one), 0.0, 0.0, 0.0);
        if any(counts > vec4<f32>()) { atomicAdd(&report[CLIPPED], u32(dot(counts, one))); }
    }
}
