// y = x * keep / (1 - p), where keep is 1 with probability 1 - p and else 0: Srivastava et al. 2014, scaled in training as in
// PyTorch.
//
// The mask depends on (seed, layer, epoch, sample, element), not on a sample's place in the batch, so a sample has the same mask
// in any batch. The backward pass draws the same mask: there x is d_y and y is d_x.
#import grid
#import random
#import step

struct Sizes { len4: u32, n: u32, c4: u32, layer: u32, p: f32 } // layer: a number that no other dropout of the network has

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> indices: array<u32>;          // [n] index in the data set
@group(0) @binding(3) var<storage, read> x: array<vec4<scalar>>;       // [h][w][n][c4]
@group(0) @binding(4) var<storage, read_write> y: array<vec4<scalar>>; // [h][w][n][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    let sample = indices[i / sizes.c4 % sizes.n];
    let element = i / (sizes.c4 * sizes.n) * sizes.c4 + i % sizes.c4; // index of a group of four within the sample
    let words = random4(vec4<u32>(step.seed ^ sizes.layer, step.epoch, sample, element));
    let draws = vec4<f32>(words >> vec4<u32>(8u)) * (1.0 / 16777216.0);
    let keep = select(vec4<f32>(), vec4<f32>(1.0 / (1.0 - sizes.p)), draws >= vec4<f32>(sizes.p));
    var value = vec4<f32>(x[i]) * keep;
    if ACCUMULATE { value += vec4<f32>(y[i]); }
    y[i] = vec4<scalar>(value);
}
