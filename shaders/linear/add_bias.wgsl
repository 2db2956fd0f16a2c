// y[n][k] += bias[k]. The product x * weight^T itself is conv2d/forward on a 1x1 map.
#import rows

struct Sizes { rows: u32, c4: u32, chunk_rows: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> bias: array<vec4<f32>>;       // [k4]
@group(0) @binding(2) var<storage, read_write> y: array<vec4<scalar>>; // [n][k4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let part = part_of(group, groups, lane);
    for (var row = part.first; row < part.last; row++) {
        let at = row * sizes.c4 + part.c4;
        y[at] = vec4<scalar>(vec4<f32>(y[at]) + bias[part.c4]);
    }
}
