// RAdam: Adam once the variance of its step can be known, before that momentum. L2 penalty, or
// DECOUPLED: p <- p * (1 - lr*weight_decay).
//
//   g     <- g + weight_decay*p
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2
//   rho    = rho_inf - 2*t*beta2^t/(1-beta2^t),  rho_inf = 2/(1-beta2) - 1
//   rho > 5:  p <- p - lr * r * sqrt(1-beta2^t) * m/(1-beta1^t) / (sqrt(v) + eps)
//   else      p <- p - lr * m/(1-beta1^t)
//   r      = sqrt((rho-4)*(rho-2)*rho_inf / ((rho_inf-4)*(rho_inf-2)*rho))
//
// Liu et al. 2020, Algorithm 2; as torch.optim.RAdam: eps joins the uncorrected root.
#import grid
#import report
#import update
#import average
#import decay

struct Sizes { len4: u32, one_minus_beta1: f32, one_minus_beta2: f32, eps: f32, weight_decay: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (factor of the step, rho > 5, 0, 0)
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> decays: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> v: array<vec4<f32>>;

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
        if DECOUPLED {
            p = fma(vec4<f32>(-step.lr * weight_decay), p, p);
        } else {
            g = fma(vec4<f32>(weight_decay), p, g);
        }
        let m_new = average(m[i], sizes.one_minus_beta1, g);
        let v_new = average_square(v[i], sizes.one_minus_beta2, g);
        m[i] = m_new;
        v[i] = v_new;
        let d = select(m_new, m_new / (sqrt(v_new) + sizes.eps), row.y != 0.0);
        params[i] = fma(vec4<f32>(-step.lr * row.x), d, p);
    }
}
