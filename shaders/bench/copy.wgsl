// copy <- source, four floats at a time: the kernel with which benches/optimizers.rs compares element-wise rules. A workgroup
// takes a chunk of 256 vec4, as in those rules.
#import grid

struct Sizes { len4: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> copy: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let base = flat_group(group, groups) * 256u + lane;
    for (var i = base; i < min(base + 256u, sizes.len4); i += 64u) { copy[i] = source[i]; }
}
