// AdaBelief: Adam that divides by how far the gradient is from its mean.
//
//   decay: p <- p * (1 - lr*weight_decay), FIXED: p <- p * (1 - weight_decay), L2: g <- g + weight_decay*p
//   m     <- beta1*m + (1-beta1)*g
//   s     <- beta2*s + (1-beta2)*(g-m)^2 + eps;  s_max <- max(s_max, s)           the new m; eps stays in s
//   p     <- p - lr * m/(1-beta1^t) / (sqrt(s)/sqrt(1-beta2^t) + eps)             AMSGRAD: s_max for s
//
// With rectify, RAdam's factor r (radam.wgsl) once rho >= 5, with sqrt(s) + eps; before that the denominator is 1.
//
// Zhuang et al. 2020, Algorithm 2, and adabelief_pytorch 0.2.1. g - m is beta1*(g - m_old), which cancels less.
#import grid
#import report
#import update
#import average
#import decay

struct Sizes { len4: u32, beta1: f32, one_minus_beta1: f32, one_minus_beta2: f32, eps: f32, weight_decay: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (factor of the step, factor of the root, denominator is 1, 0)
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> decays: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> s: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> s_max: array<vec4<f32>>; // with AMSGRAD

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
        if L2 {
            g = fma(vec4<f32>(weight_decay), p, g);
        } else {
            p = fma(vec4<f32>(-weight_decay * select(step.lr, 1.0, FIXED)), p, p);
        }
        let m_old = m[i];
        m[i] = average(m_old, sizes.one_minus_beta1, g);
        let s_new = average_square(s[i], sizes.one_minus_beta2, sizes.beta1 * (g - m_old)) + sizes.eps;
        s[i] = s_new;
        var second = s_new;
        if AMSGRAD {
            second = max(s_max[i], s_new);
            s_max[i] = second;
        }
        let root = fma(sqrt(second), vec4<f32>(row.y), vec4<f32>(sizes.eps));
        params[i] = fma(vec4<f32>(-step.lr * row.x), m[i] / select(root, vec4<f32>(1.0), row.z != 0.0), p);
    }
}
