// Muon, 1 of 7. The momentum buffer and the direction d of each matrix, and per block the sums of d*d and theta*theta. One
// workgroup per block.
//
//   buf <- mu*buf + (1-mu)*g;  d = mu*buf + (1-mu)*g with NESTEROV, else buf        Jordan et al. 2024
//   buf <- mu*buf + g;         d = mu*buf + g with NESTEROV, else buf               AIRBENCH: airbench94_muon
#import reduce
#import grid
#import report
#import blocks

struct Sizes { blocks: u32, momentum: f32, one_minus_momentum: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> blocks: array<Block>;         // segment: the matrix
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> params: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> buffer: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> direction: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> sums: array<vec4<f32>>; // [block] (sum d*d, sum theta*theta, 0, 0)

fn blend(old: vec4<f32>, g: vec4<f32>) -> vec4<f32> {
    if AIRBENCH { return fma(vec4<f32>(sizes.momentum), old, g); }
    return fma(vec4<f32>(sizes.one_minus_momentum), g - old, old);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = flat_group(group, groups);
    if report.skip != 0u || index >= sizes.blocks { return; }
    let block = blocks[index];
    var squares = vec4<f32>();
    var weights = vec4<f32>();
    for (var k = lane; k < block.len4; k += LANES) {
        let i = block.first4 + k;
        var d = blend(buffer[i], grads[i]);
        buffer[i] = d;
        if NESTEROV { d = blend(d, grads[i]); }
        direction[i] = d;
        squares = fma(d, d, squares);
        weights = fma(params[i], params[i], weights);
    }
    let one = vec4<f32>(1.0);
    let total = reduce_sum(lane, vec4<f32>(dot(squares, one), dot(weights, one), 0.0, 0.0));
    if lane == 0u { sums[index] = total; }
}
