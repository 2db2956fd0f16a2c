// Lion: the sign of an interpolated momentum. Decoupled decay.
//
//   p     <- p * (1 - lr*weight_decay)
//   p     <- p - lr * sign(beta1*m + (1-beta1)*g);  then m <- beta2*m + (1-beta2)*g
//
// Chen et al. 2023, Algorithm 2, and google/automl; sign(0) = 0.
#import grid
#import report
#import update
#import average
#import decay

struct Sizes { len4: u32, beta1: f32, one_minus_beta1: f32, one_minus_beta2: f32, weight_decay: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> decays: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> m: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    if report.skip != 0u { return; }
    let chunk = flat_group(group, groups);
    let weight_decay = weight_decay_of(chunk);
    let base = chunk * 256u + lane;
    for (var i = base; i < min(base + 256u, sizes.len4); i += 64u) {
        let g = grads[i];
        let p = fma(vec4<f32>(-step.lr * weight_decay), params[i], params[i]);
        let direction = sign(fma(vec4<f32>(sizes.beta1), m[i], sizes.one_minus_beta1 * g));
        m[i] = average(m[i], sizes.one_minus_beta2, g);
        params[i] = fma(vec4<f32>(-step.lr), direction, p);
    }
}
