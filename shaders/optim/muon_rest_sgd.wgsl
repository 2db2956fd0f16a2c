// SGD with Nesterov's momentum for the tensors that Muon leaves: vectors, and the first and last matrix of a network. One
// workgroup per block.
//
//   g <- g + weight_decay*theta;  m <- mu*m + g;  theta <- theta - r*(g + mu*m)        torch.optim.SGD; Sutskever et al. 2013
//
// m shares its arena with Muon's momentum.
#import grid
#import report
#import update
#import muon_rest

struct Sizes { blocks: u32, momentum: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (.., .., share of the first bias's rate, 0)
@group(0) @binding(2) var<storage, read> blocks: array<Rest>;
@group(0) @binding(3) var<storage, read> report: Report;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> m: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = flat_group(group, groups);
    if report.skip != 0u || index >= sizes.blocks { return; }
    let block = blocks[index];
    let rate = rate_of(block, scalars_of_update(report.skipped).z);
    let mu = vec4<f32>(sizes.momentum);
    for (var k = lane; k < block.len4; k += 64u) {
        let i = block.first4 + k;
        let g = fma(vec4<f32>(block.weight_decay), params[i], grads[i]);
        let m_new = fma(mu, m[i], g);
        m[i] = m_new;
        params[i] = fma(vec4<f32>(-rate), fma(mu, m_new, g), params[i]);
    }
}
