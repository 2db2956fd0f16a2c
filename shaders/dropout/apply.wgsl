// y = x * keep / (1 - p), keep = 1 with probability 1 - p: Srivastava et al. 2014, scaled in training as in PyTorch.
//
// The mask is a function of (seed, batch, place), so the backward pass draws the same one: there x is d_y and y is d_x.
#import grid
#import random
#import step

struct Sizes { len4: u32, layer: u32, p: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> x: array<vec4<scalar>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<scalar>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    let words = random4(vec4<u32>(step.seed ^ 0x64726f70u, step.batch, i, sizes.layer));
    let draws = vec4<f32>(words >> vec4<u32>(8u)) * (1.0 / 16777216.0);
    let keep = select(vec4<f32>(), vec4<f32>(1.0 / (1.0 - sizes.p)), draws >= vec4<f32>(sizes.p));
    var value = vec4<f32>(x[i]) * keep;
    if ACCUMULATE { value += vec4<f32>(y[i]); }
    y[i] = vec4<scalar>(value);
}
