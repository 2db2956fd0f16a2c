// AdaBound: Adam whose rate per element is clipped between two bounds that close on final_lr. L2 penalty.
//
//   g     <- g + weight_decay*p
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2;  v_max <- max(v_max, v)
//   f      = final_lr * lr/lr_initial;  low = f * (1 - 1/(gamma*t+1));  high = f * (1 + 1/(gamma*t))
//   p     <- p - clamp(lr * sqrt(1-beta2^t)/(1-beta1^t) / (sqrt(v) + eps), low, high) * m        AMSBOUND: v_max for v
//
// Luo, Xiong, Liu, Sun 2019, Algorithm 2, and the authors' code: m is uncorrected outside the clamp.
// Here lr is taken out of the clamp: low and high are in units of lr.
#import grid
#import report
#import update
#import average
#import decay

struct Sizes { len4: u32, one_minus_beta1: f32, one_minus_beta2: f32, eps: f32, weight_decay: f32,
               final_ratio: f32 /* final_lr / lr_initial */ }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (sqrt(1-beta2^t)/(1-beta1^t), 1 - 1/(gamma*t+1), 1 + 1/(gamma*t), 0)
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> decays: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> v_max: array<vec4<f32>>; // with AMSBOUND

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    if report.skip != 0u { return; }
    let chunk = flat_group(group, groups);
    let weight_decay = weight_decay_of(chunk);
    let row = scalars_of_update(report.skipped);
    let low = vec4<f32>(sizes.final_ratio * row.y);
    let high = vec4<f32>(sizes.final_ratio * row.z);
    let base = chunk * 256u + lane;
    for (var i = base; i < min(base + 256u, sizes.len4); i += 64u) {
        let p = params[i];
        let g = fma(vec4<f32>(weight_decay), p, grads[i]);
        let m_new = average(m[i], sizes.one_minus_beta1, g);
        let v_new = average_square(v[i], sizes.one_minus_beta2, g);
        m[i] = m_new;
        v[i] = v_new;
        var second = v_new;
        if AMSBOUND {
            second = max(v_max[i], v_new);
            v_max[i] = second;
        }
        let rate = clamp(row.x / (sqrt(second) + sizes.eps), low, high);
        params[i] = fma(-step.lr * rate, m_new, p);
    }
}
