// y[i] = x[i + skip], and 0 where x has ended: some of a tensor's places, or the gradient of a tensor of which only some were used.
#import grid

struct Sizes { len4: u32, skip: u32, end: u32 } // end: vectors of x

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<scalar>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    var value = vec4<f32>();
    if i + sizes.skip < sizes.end { value = vec4<f32>(x[i + sizes.skip]); }
    if ACCUMULATE { value += vec4<f32>(y[i]); }
    y[i] = vec4<scalar>(value);
}
