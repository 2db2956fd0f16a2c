// MVN-Grad: momentum of gradients that were divided by their deviation first. Decoupled decay, or L2.
//
//   p     <- p * (1 - lr*weight_decay), L2: g <- g + weight_decay*p
//   m     <- beta1*m + (1-beta1)*g
//   v     <- beta2*v + (1-beta2)*(g-m)^2 + eps_s                         the new m; eps_s stays in v
//   z      = g / (sqrt(v/(1-beta2^t)) + eps)
//   u     <- beta1*u + (1-beta1)*z
//   p     <- p - lr * u/(1-beta1^t)
//
// Patitucci, Mokhtari 2026 (arXiv 2602.10204). g - m is beta1*(g - m_old), which cancels less.
#import grid
#import report
#import update
#import average
#import decay

struct Sizes { len4: u32, beta1: f32, one_minus_beta1: f32, one_minus_beta2: f32, eps: f32, eps_s: f32, weight_decay: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (1/(1-beta1^t), 1/(1-beta2^t), 0, 0)
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> decays: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> u: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    if report.skip != 0u { return; }
    let chunk = flat_group(group, groups);
    let weight_decay = weight_decay_of(chunk);
    let row = scalars_of_update(report.skipped);
    let base = chunk * 256u + lane;
    for (var i = base; i < min(base + 256u, sizes.len4); i += 64u) {
        var p = params[i];
        var g = grads[i];
        if L2 { g = fma(vec4<f32>(weight_decay), p, g); } else { p = fma(vec4<f32>(-step.lr * weight_decay), p, p); }
        let m_old = m[i];
        m[i] = average(m_old, sizes.one_minus_beta1, g);
        let v_new = average_square(v[i], sizes.one_minus_beta2, sizes.beta1 * (g - m_old)) + sizes.eps_s;
        v[i] = v_new;
        let u_new = average(u[i], sizes.one_minus_beta1, g / (sqrt(v_new * row.y) + sizes.eps));
        u[i] = u_new;
        params[i] = fma(vec4<f32>(-step.lr * row.x), u_new, p);
    }
}
