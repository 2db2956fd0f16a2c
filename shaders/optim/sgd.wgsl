// d = g + weight_decay * p;  buf = d at t = 1, else momentum * buf + (1 - dampening) * d;  d = buf, or with NESTEROV
// d + momentum * buf;  p -= lr * d. torch.optim.SGD; Sutskever et al. 2013.
#import grid
#import report
#import update
#import decay

struct Sizes { len4: u32, momentum: f32, dampening: f32, weight_decay: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (t == 1, 0, 0, 0)
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> decays: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> momentum_buffer: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    if report.skip != 0u { return; }
    let chunk = flat_group(group, groups);
    let weight_decay = weight_decay_of(chunk);
    let first = scalars_of_update(report.skipped).x != 0.0;
    let base = chunk * 256u + lane;
    for (var i = base; i < min(base + 256u, sizes.len4); i += 64u) {
        let p = params[i];
        var d = fma(vec4<f32>(weight_decay), p, grads[i]);
        if MOMENTUM {
            let buffer = select(fma(vec4<f32>(sizes.momentum), momentum_buffer[i], (1.0 - sizes.dampening) * d), d, first);
            momentum_buffer[i] = buffer;
            d = select(buffer, fma(vec4<f32>(sizes.momentum), buffer, d), NESTEROV);
        }
        params[i] = fma(vec4<f32>(-step.lr), d, p);
    }
}
