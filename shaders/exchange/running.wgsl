// Moves the running statistics of a batch norm by those of one batch, as batchnorm/finish does. UNTOUCHED, which the host writes before
// the batch, is still there after one that leaves the running statistics as they are.
#import averaged_in

const UNTOUCHED = 0x80000000u; // -0, which no batch leaves

struct Sizes { c4: u32, momentum: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> batch_mean: array<vec4<f32>>;         // [c4]
@group(0) @binding(2) var<storage, read> batch_var: array<vec4<f32>>;          // [c4], with n-1
@group(0) @binding(3) var<storage, read_write> running_mean: array<vec4<f32>>; // [c4]
@group(0) @binding(4) var<storage, read_write> running_var: array<vec4<f32>>;  // [c4]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let c4 = id.x;
    if c4 >= sizes.c4 { return; }
    let mean = batch_mean[c4];
    if bitcast<u32>(mean.x) == UNTOUCHED { return; }
    running_mean[c4] = averaged_in(running_mean[c4], sizes.momentum, mean);
    running_var[c4] = averaged_in(running_var[c4], sizes.momentum, batch_var[c4]);
}
