// Adagrad with an L2 penalty.
//
//   g     <- g + weight_decay*p
//   sum   <- sum + g^2;  it starts at initial_accumulator_value
//   p     <- p - lr/(1 + (t-1)*lr_decay) * g / (sqrt(sum) + eps)
//
// Duchi, Hazan, Singer 2011, the diagonal form; as torch.optim.Adagrad.
#import grid
#import report
#import update
#import decay

struct Sizes { len4: u32, initial: f32, eps: f32, weight_decay: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (1/(1+(t-1)*lr_decay), t == 1, 0, 0)
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read> decays: array<f32>;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> sum: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    if report.skip != 0u { return; }
    let chunk = flat_group(group, groups);
    let weight_decay = weight_decay_of(chunk);
    let row = scalars_of_update(report.skipped);
    let base = chunk * 256u + lane;
    for (var i = base; i < min(base + 256u, sizes.len4); i += 64u) {
        let p = params[i];
        let g = fma(vec4<f32>(weight_decay), p, grads[i]);
        let sum_new = fma(g, g, select(sum[i], vec4<f32>(sizes.initial), row.y != 0.0));
        sum[i] = sum_new;
        params[i] = fma(vec4<f32>(-step.lr * row.x), g / (sqrt(sum_new) + sizes.eps), p);
    }
}
