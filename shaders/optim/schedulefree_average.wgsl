// Schedule-Free: moves params from y to the average x = (y - (1-beta1)*z)/beta1 = y + (1-beta1)/beta1*(y - z), at which the
// network is evaluated and saved.
#import grid

struct Sizes { len4: u32, ratio: f32 } // ratio: (1-beta1)/beta1

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> z: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> params: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let base = flat_group(group, groups) * 256u + lane;
    for (var i = base; i < min(base + 256u, sizes.len4); i += 64u) {
        params[i] = fma(vec4<f32>(sizes.ratio), params[i] - z[i], params[i]);
    }
}
