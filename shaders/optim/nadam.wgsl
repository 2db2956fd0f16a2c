// NAdam: Adam with Nesterov's momentum, whose factor mu rises with t. L2 penalty, or DECOUPLED: p <- p * (1 - lr*weight_decay).
//
//   g     <- g + weight_decay*p
//   mu_t   = beta1 * (1 - 0.5 * 0.96^(t*momentum_decay));  P = mu_1 * ... * mu_t
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2
//   p     <- p - lr * ((1-mu_t)/(1-P) * g + mu_(t+1)/(1-P*mu_(t+1)) * m) / (sqrt(v/(1-beta2^t)) + eps)
//
// Dozat 2016; as torch.optim.NAdam.
#import grid
#import report
#import update
#import average
#import decay

struct Sizes { len4: u32, one_minus_beta1: f32, one_minus_beta2: f32, eps: f32, weight_decay: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (factor of g, factor of m, 1/(1-beta2^t), 0)
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
        let d = fma(vec4<f32>(row.x), g, row.y * m_new) / (sqrt(v_new * row.z) + sizes.eps);
        params[i] = fma(vec4<f32>(-step.lr), d, p);
    }
}
