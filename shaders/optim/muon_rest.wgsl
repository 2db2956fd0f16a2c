// AdamW for the tensors that Muon leaves: vectors, and the first and last matrix of a network. One workgroup per block.
//
//   theta <- theta*(1 - r*weight_decay);  m <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g*g
//   theta <- theta - r * m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + eps),  r its rate        Loshchilov, Hutter 2019
//
// m shares its arena with Muon's momentum; v has room for these tensors only.
#import grid
#import report
#import update
#import muon_rest

struct Sizes { blocks: u32, one_minus_beta1: f32, one_minus_beta2: f32, eps: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (1/(1-beta1^t), 1/(1-beta2^t), share of the first bias's rate, 0)
@group(0) @binding(2) var<storage, read> blocks: array<Rest>;
@group(0) @binding(3) var<storage, read> report: Report;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> v: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = flat_group(group, groups);
    if report.skip != 0u || index >= sizes.blocks { return; }
    let block = blocks[index];
    let row = scalars_of_update(report.skipped);
    let rate = rate_of(block, row.z);
    for (var k = lane; k < block.len4; k += 64u) {
        let i = block.first4 + k;
        let g = grads[i];
        let m_new = fma(vec4<f32>(sizes.one_minus_beta1), g - m[i], m[i]);
        let v_new = fma(vec4<f32>(sizes.one_minus_beta2), fma(g, g, -v[block.v4 + k]), v[block.v4 + k]);
        m[i] = m_new;
        v[block.v4 + k] = v_new;
        let u = m_new * row.x / (sqrt(v_new * row.y) + sizes.eps);
        params[i] = fma(vec4<f32>(-rate), u, fma(vec4<f32>(-rate * block.weight_decay), params[i], params[i]));
    }
}
