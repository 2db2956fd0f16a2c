// d_x = d_y times the derivative of the activation at x + bias.
#import rows
#import activation

struct Sizes { rows: u32, c4: u32, chunk_rows: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<vec4<scalar>>;       // [rows][c4]
@group(0) @binding(2) var<storage, read> x: array<vec4<scalar>>;         // [rows][c4]
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;         // [c4]
@group(0) @binding(4) var<storage, read_write> d_x: array<vec4<scalar>>; // [rows][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let part = part_of(group, groups, lane);
    let shift = bias[part.c4];
    for (var row = part.first; row < part.last; row++) {
        let at = row * sizes.c4 + part.c4;
        var g = activation_backward(vec4<f32>(x[at]) + shift, vec4<f32>(d_y[at]));
        if ACCUMULATE { g += vec4<f32>(d_x[at]); }
        d_x[at] = vec4<scalar>(g);
    }
}
