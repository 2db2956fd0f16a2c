// AMVT: Adam whose second moment is joined by the variance of the gradient around its mean.
//
//   g     <- g * clip/||g|| if ||g|| > clip                               norm/clip_norm.wgsl, before this
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2
//   s     <- beta3*s + (1-beta3)*(g-m)^2                                 the new m, not corrected
//   m^, v^, s^ = m/(1-beta1^t), v/(1-beta2^t), s/(1-beta3^t)             without bias_corrected m^ = m
//   a      = lr * (1 + s^/(v^+eps))^(-1/2) / sqrt(v^+eps) = lr / sqrt(v^ + s^ + eps)
//   OUTSIDE: a = lr * (1 + s^/(v^+eps))^(-1/2) / (sqrt(v^) + eps)
//   p     <- p - a*m^ - weight_decay*p,  DECOUPLED: lr*weight_decay*p    both of the p before the step
//
// The AMVT paper, Algorithm 1, with m^ of its step 7. g - m is beta1*(g - m_old), which cancels less.
#import grid
#import report
#import update
#import average
#import decay

struct Sizes { len4: u32, beta1: f32, one_minus_beta1: f32, one_minus_beta2: f32, one_minus_beta3: f32,
               eps: f32, weight_decay: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (1/(1-beta1^t) or 1, 1/(1-beta2^t), 1/(1-beta3^t), 0)
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> decays: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> s: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    if report.skip != 0u { return; }
    let chunk = flat_group(group, groups);
    let weight_decay = weight_decay_of(chunk);
    let row = scalars_of_update(report.skipped);
    let decay = weight_decay * select(1.0, step.lr, DECOUPLED);
    let base = chunk * 256u + lane;
    for (var i = base; i < min(base + 256u, sizes.len4); i += 64u) {
        let p = params[i];
        let g = grads[i];
        let m_old = m[i];
        let m_new = average(m_old, sizes.one_minus_beta1, g);
        let v_new = average_square(v[i], sizes.one_minus_beta2, g);
        let s_new = average_square(s[i], sizes.one_minus_beta3, sizes.beta1 * (g - m_old));
        m[i] = m_new;
        v[i] = v_new;
        s[i] = s_new;
        let vh = v_new * row.y;
        let sh = s_new * row.z;
        var root = sqrt(vh + sh + sizes.eps);
        if OUTSIDE { root = sqrt(1.0 + sh / (vh + sizes.eps)) * (sqrt(vh) + sizes.eps); }
        params[i] = fma(vec4<f32>(-step.lr * row.x), m_new / root, fma(vec4<f32>(-decay), p, p));
    }
}
