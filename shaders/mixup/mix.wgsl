// mixup (Zhang et al. 2018, arXiv 1710.09412): y = lambda x + (1 - lambda) x', where x' is the batch with each image in the place of
// the one after it, and the last in that of the first, as torchvision's MixUp pairs them.
#import grid

struct Sizes { n: u32, len4: u32 } // images, vectors of all of them

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;       // [pixels][n][1]
@group(0) @binding(2) var<storage, read> mixing: array<f32>;           // lambda
@group(0) @binding(3) var<storage, read_write> y: array<vec4<scalar>>; // [pixels][n][1]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    let before = select(i - 1u, i + sizes.n - 1u, i % sizes.n == 0u);
    y[i] = vec4<scalar>(mixing[0] * vec4<f32>(x[i]) + (1.0 - mixing[0]) * vec4<f32>(x[before]));
}
