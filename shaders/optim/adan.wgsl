// Adan: Nesterov's momentum from the gradient and its change.
//
//   diff   = g - g_prev, 0 at t = 1
//   m     <- beta1*m + (1-beta1)*g;  d <- beta2*d + (1-beta2)*diff
//   n     <- beta3*n + (1-beta3)*(g + beta2*diff)^2
//   p     <- p - lr * (m/(1-beta1^t) + beta2 * d/(1-beta2^t)) / (sqrt(n)/sqrt(1-beta3^t) + eps)
//   p     <- p / (1 + lr*weight_decay);  NO_PROX: p <- p * (1 - lr*weight_decay) before the step instead
//
// Xie et al. 2022, Algorithm 1, and sail-sg/Adan, whose betas (1 minus the paper's) these are.
#import grid
#import report
#import update
#import average
#import decay

struct Sizes { len4: u32, beta2: f32, one_minus_beta1: f32, one_minus_beta2: f32, one_minus_beta3: f32,
               eps: f32, weight_decay: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (1/(1-beta1^t), beta2/(1-beta2^t), 1/sqrt(1-beta3^t), t == 1)
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> decays: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> d: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> n: array<vec4<f32>>;
@group(0) @binding(9) var<storage, read_write> previous: array<vec4<f32>>;

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
        let g = grads[i];
        let diff = select(g - previous[i], vec4<f32>(), row.w != 0.0);
        previous[i] = g;
        let m_new = average(m[i], sizes.one_minus_beta1, g);
        let d_new = average(d[i], sizes.one_minus_beta2, diff);
        let n_new = average_square(n[i], sizes.one_minus_beta3, fma(vec4<f32>(sizes.beta2), diff, g));
        m[i] = m_new;
        d[i] = d_new;
        n[i] = n_new;
        if NO_PROX { p = fma(vec4<f32>(-step.lr * weight_decay), p, p); }
        let root = fma(sqrt(n_new), vec4<f32>(row.z), vec4<f32>(sizes.eps));
        p = fma(vec4<f32>(-step.lr), fma(vec4<f32>(row.x), m_new, row.y * d_new) / root, p);
        if !NO_PROX { p /= 1.0 + step.lr * weight_decay; }
        params[i] = p;
    }
}
