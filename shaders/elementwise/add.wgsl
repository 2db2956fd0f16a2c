// y = x + other, or with RELU max(x + other, 0)
#import grid

struct Sizes { len4: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;
@group(0) @binding(2) var<storage, read> other: array<vec4<scalar>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<scalar>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    var value = vec4<f32>(x[i]) + vec4<f32>(other[i]);
    if RELU { value = select(value, vec4<f32>(), value <= vec4<f32>()); } // a NaN stays a NaN
    y[i] = vec4<scalar>(value);
}
