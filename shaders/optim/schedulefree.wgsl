// Schedule-Free AdamW (Defazio et al. 2024, arXiv 2405.15682), in the form that stores y, z and v. `params` is y, where
// gradients are taken; the average x = (y - (1-beta1)*z)/beta1 is never stored.
//
//   v <- beta2*v + (1-beta2)*g*g;  u = g/(sqrt(v/(1-beta2^t)) + eps) + weight_decay*y;  r = lr*min(1, t/warmup)
//   y <- y + c*(z - y) + r*(beta1*(1-c) - 1)*u;  z <- z - r*u,  c: schedulefree_share.wgsl
#import grid
#import report
#import update
#import decay

struct Sizes { len4: u32, beta1: f32, one_minus_beta2: f32, eps: f32, weight_decay: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (min(1, t/warmup), .., 1/(1-beta2^t), 0)
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> decays: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> z: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read> average: vec4<f32>; // (c, .., .., ..)

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    if report.skip != 0u { return; }
    let chunk = flat_group(group, groups);
    let weight_decay = weight_decay_of(chunk);
    let row = scalars_of_update(report.skipped);
    let rate = step.lr * row.x;
    let c = average.x;
    let of_u = rate * fma(sizes.beta1, 1.0 - c, -1.0);
    let base = chunk * 256u + lane;
    for (var i = base; i < min(base + 256u, sizes.len4); i += 64u) {
        let g = grads[i];
        let y = params[i];
        let v_new = fma(vec4<f32>(sizes.one_minus_beta2), fma(g, g, -v[i]), v[i]);
        v[i] = v_new;
        let u = fma(vec4<f32>(weight_decay), y, g / (sqrt(v_new * row.z) + sizes.eps));
        params[i] = fma(vec4<f32>(of_u), u, fma(vec4<f32>(c), z[i] - y, y));
        z[i] = fma(vec4<f32>(-rate), u, z[i]);
    }
}
