// g <- min(max(g, -limit), limit): torch.nn.utils.clip_grad_value_. What is not finite passes, for the guard to find.
#import grid

struct Sizes { len4: u32, limit: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read_write> grads: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    let g = grads[i];
    let finite = (bitcast<vec4<u32>>(g) & vec4<u32>(0x7f800000u)) != vec4<u32>(0x7f800000u);
    grads[i] = select(g, clamp(g, vec4<f32>(-sizes.limit), vec4<f32>(sizes.limit)), finite);
}
