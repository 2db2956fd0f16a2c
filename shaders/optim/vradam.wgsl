// VRAdam, 3 of 3: AdamW at the rate eta of vradam_scalars.wgsl, in the step and in the decay.
//
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2
//   p     <- p * (1 - eta*weight_decay)
//   p     <- p - eta * m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + eps)
//
// Velocity-Regularized Adam (arXiv 2505.13196), Algorithm 1; pranavjv/vradam.
#import grid
#import report
#import update
#import average
#import decay

struct Sizes { len4: u32, one_minus_beta1: f32, one_minus_beta2: f32, eps: f32, weight_decay: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (1/(1-beta1^t), 1/(1-beta2^t), 0, 0)
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> decays: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> rate: array<f32>; // eta

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    if report.skip != 0u { return; }
    let chunk = flat_group(group, groups);
    let weight_decay = weight_decay_of(chunk);
    let row = scalars_of_update(report.skipped);
    let eta = rate[0];
    let base = chunk * 256u + lane;
    for (var i = base; i < min(base + 256u, sizes.len4); i += 64u) {
        let g = grads[i];
        let m_new = average(m[i], sizes.one_minus_beta1, g);
        let v_new = average_square(v[i], sizes.one_minus_beta2, g);
        m[i] = m_new;
        v[i] = v_new;
        let p = fma(vec4<f32>(-eta * weight_decay), params[i], params[i]);
        params[i] = fma(vec4<f32>(-eta * row.x), m_new / (sqrt(v_new * row.y) + sizes.eps), p);
    }
}
