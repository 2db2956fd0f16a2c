// Per chunk of rows and channel: the sum of d_y, which bias/backward_finish adds up to the gradient of the bias.
#import rows

struct Sizes { rows: u32, c4: u32, chunk_rows: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<vec4<scalar>>;        // [rows][c4]
@group(0) @binding(2) var<storage, read_write> partial: array<vec4<f32>>; // [chunk][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let part = part_of(group, groups, lane);
    if part.first >= part.last { return; }
    var sum = vec4<f32>();
    for (var row = part.first; row < part.last; row++) { sum += vec4<f32>(d_y[row * sizes.c4 + part.c4]); }
    partial[part.chunk * sizes.c4 + part.c4] = sum;
}
