// LaProp: the momentum of gradients that were divided by Adam's root first. Decoupled decay.
//
//   p     <- p * (1 - lr*weight_decay)
//   v     <- beta2*v + (1-beta2)*g^2;  z = g / (sqrt(v/(1-beta2^t)) + eps)
//   u     <- beta1*u + (1-beta1)*z
//   p     <- p - lr * u/(1-beta1^t)
//
// OFFICIAL, the authors' code: the rate is part of the average, and decay is last, without the rate.
//
//   q     <- beta1*q + (1-beta1)*lr;  u <- beta1*u + (1-beta1)*lr*z              q: laprop_rate.wgsl
//   p     <- p - u * lr/q;  p <- p - weight_decay*p
//
// Ziyin, Wang, Ueda 2020, Algorithm 1; Z-T-WANG/LaProp-Optimizer.
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
@group(0) @binding(6) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> u: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> rate: array<f32>; // with OFFICIAL: q

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    if report.skip != 0u { return; }
    let chunk = flat_group(group, groups);
    let weight_decay = weight_decay_of(chunk);
    let row = scalars_of_update(report.skipped);
    var factor = step.lr * row.x;
    // The authors divide by q/lr, and by 1 at a rate of 0.
    if OFFICIAL { factor = select(1.0, step.lr / rate[0], step.lr != 0.0); }
    let base = chunk * 256u + lane;
    for (var i = base; i < min(base + 256u, sizes.len4); i += 64u) {
        let g = grads[i];
        var p = params[i];
        let v_new = average_square(v[i], sizes.one_minus_beta2, g);
        v[i] = v_new;
        let z = g / (sqrt(v_new * row.y) + sizes.eps);
        let u_new = average(u[i], sizes.one_minus_beta1, select(1.0, step.lr, OFFICIAL) * z);
        u[i] = u_new;
        if !OFFICIAL { p = fma(vec4<f32>(-step.lr * weight_decay), p, p); }
        p = fma(vec4<f32>(-factor), u_new, p);
        if OFFICIAL { p = fma(vec4<f32>(-weight_decay), p, p); }
        params[i] = p;
    }
}
