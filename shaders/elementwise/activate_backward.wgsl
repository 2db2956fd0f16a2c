// d_x = d_y times the derivative of the activation at z, which is x, or for ReLU as well the result. ACCUMULATE adds to what is
// there.
#import grid
#import activation

struct Sizes { len4: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<vec4<scalar>>;
@group(0) @binding(2) var<storage, read> z: array<vec4<scalar>>;
@group(0) @binding(3) var<storage, read_write> d_x: array<vec4<scalar>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    var value = activation_backward(vec4<f32>(z[i]), vec4<f32>(d_y[i]));
    if ACCUMULATE { value += vec4<f32>(d_x[i]); }
    d_x[i] = vec4<scalar>(value);
}
