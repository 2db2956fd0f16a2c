// Muon, 7 of 7. theta <- theta + shrink*theta;  theta <- theta - rate*O, O from Newton-Schulz. One workgroup per block.
#import grid
#import report
#import blocks

struct Sizes { blocks: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> blocks: array<Block>;
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> table: array<vec4<f32>>; // [matrix] (.., rate, shrink, ..)
@group(0) @binding(4) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = flat_group(group, groups);
    if report.skip != 0u || index >= sizes.blocks { return; }
    let block = blocks[index];
    let row = table[block.segment];
    for (var k = lane; k < block.len4; k += 64u) {
        let i = block.first4 + k;
        params[i] = fma(vec4<f32>(-row.y), x[i], fma(vec4<f32>(row.z), params[i], params[i]));
    }
}
