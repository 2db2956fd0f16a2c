// RMSprop, with an L2 penalty; CENTERED divides by the deviation, MOMENTUM sums the steps.
//
//   g     <- g + weight_decay*p
//   v     <- alpha*v + (1-alpha)*g^2
//   d      = g / (sqrt(v) + eps);  CENTERED: sqrt(v - mean^2) for sqrt(v), mean <- alpha*mean + (1-alpha)*g
//   p     <- p - lr*d;  MOMENTUM: buffer <- momentum*buffer + d;  p <- p - lr*buffer
//
// Tieleman, Hinton 2012, lecture 6e; centered: Graves 2013; as torch.optim.RMSprop. No bias correction.
//
// With CENTERED the word v holds w = v - mean^2 itself, which obeys w <- alpha*w + (1-alpha)*alpha*(g - mean_old)^2: the same in
// exact arithmetic, and nothing cancels where the gradient hardly varies.
#import grid
#import report
#import update
#import average
#import decay

struct Sizes { len4: u32, alpha: f32, one_minus_alpha: f32, eps: f32, weight_decay: f32, momentum: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> decays: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> mean: array<vec4<f32>>; // with CENTERED
@group(0) @binding(8) var<storage, read_write> buffer: array<vec4<f32>>; // with MOMENTUM

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
        var deviation = g;
        if CENTERED {
            deviation = sqrt(sizes.alpha) * (g - mean[i]);
            mean[i] = average(mean[i], sizes.one_minus_alpha, g);
        }
        let v_new = average_square(v[i], sizes.one_minus_alpha, deviation);
        v[i] = v_new;
        var d = g / (sqrt(v_new) + sizes.eps);
        if MOMENTUM {
            d = fma(vec4<f32>(sizes.momentum), buffer[i], d);
            buffer[i] = d;
        }
        params[i] = fma(vec4<f32>(-step.lr), d, p);
    }
}
