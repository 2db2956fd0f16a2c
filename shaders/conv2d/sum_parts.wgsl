// out[i] = sum over parts of partial[part][i], in the order of the parts. ACCUMULATE adds to out.
#import grid

struct Sizes { len4: u32, parts: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> partial: array<vec4<f32>>;      // [part][len4]
@group(0) @binding(2) var<storage, read_write> out: array<vec4<scalar>>; // [len4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let at = flat_group(group, groups) * 64u + lane;
    if at >= sizes.len4 { return; }
    var sum = vec4<f32>();
    for (var part = 0u; part < sizes.parts; part++) { sum += partial[part * sizes.len4 + at]; }
    if ACCUMULATE { sum += vec4<f32>(out[at]); }
    out[at] = vec4<scalar>(sum);
}
