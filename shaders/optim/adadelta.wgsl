// Adadelta with an L2 penalty.
//
//   g     <- g + weight_decay*p
//   v     <- rho*v + (1-rho)*g^2
//   d      = sqrt(u + eps) / sqrt(v + eps) * g;  then u <- rho*u + (1-rho)*d^2
//   p     <- p - lr*d
//
// Zeiler 2012, Algorithm 1; lr as torch.optim.Adadelta. Both eps are inside the roots.
#import grid
#import report
#import update
#import average
#import decay

struct Sizes { len4: u32, one_minus_rho: f32, eps: f32, weight_decay: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> decays: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> u: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    if report.skip != 0u { return; }
    let chunk = flat_group(group, groups);
    let weight_decay = weight_decay_of(chunk);
    let base = chunk * 256u + lane;
    for (var i = base; i < min(base + 256u, sizes.len4); i += 64u) {
        let p = params[i];
        let g = fma(vec4<f32>(weight_decay), p, grads[i]);
        let v_new = average_square(v[i], sizes.one_minus_rho, g);
        v[i] = v_new;
        let d = sqrt(u[i] + sizes.eps) / sqrt(v_new + sizes.eps) * g;
        u[i] = average_square(u[i], sizes.one_minus_rho, d);
        params[i] = fma(vec4<f32>(-step.lr), d, p);
    }
}
