// AdamW: Adam whose decay acts on the parameter itself, before the step; AMSGRAD as in adam.wgsl.
//
//   p     <- p * (1 - lr*weight_decay)
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2;  v_max <- max(v_max, v)
//   p     <- p - lr * m/(1-beta1^t) / (sqrt(v)/sqrt(1-beta2^t) + eps)
//
// Loshchilov, Hutter 2019, Algorithm 2, in the order of torch.optim.AdamW.
#import grid
#import report
#import update
#import average
#import decay

struct Sizes { len4: u32, one_minus_beta1: f32, one_minus_beta2: f32, eps: f32, weight_decay: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (1/(1-beta1^t), 1/sqrt(1-beta2^t), 0, 0)
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> decays: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> v_max: array<vec4<f32>>; // with AMSGRAD

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    if report.skip != 0u { return; }
    let chunk = flat_group(group, groups);
    let weight_decay = weight_decay_of(chunk);
    let row = scalars_of_update(report.skipped);
    let base = chunk * 256u + lane;
    for (var i = base; i < min(base + 256u, sizes.len4); i += 64u) {
        let g = grads[i];
        let p = fma(vec4<f32>(-step.lr * weight_decay), params[i], params[i]);
        let m_new = average(m[i], sizes.one_minus_beta1, g);
        let v_new = average_square(v[i], sizes.one_minus_beta2, g);
        m[i] = m_new;
        v[i] = v_new;
        var second = v_new;
        if AMSGRAD {
            second = max(v_max[i], v_new);
            v_max[i] = second;
        }
        params[i] = fma(vec4<f32>(-step.lr * row.x), m_new / fma(sqrt(second), vec4<f32>(row.y), vec4<f32>(sizes.eps)), p);
    }
}
