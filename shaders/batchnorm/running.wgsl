// In evaluation the running statistics take the place of the batch's: saved = (mean, 1/sqrt(var + eps)).
struct Sizes { c4: u32, eps: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> running_mean: array<vec4<f32>>; // [c4]
@group(0) @binding(2) var<storage, read> running_var: array<vec4<f32>>;  // [c4]
@group(0) @binding(3) var<storage, read_write> saved: array<vec4<f32>>;  // [mean, 1/sqrt(var + eps)][c4]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let c4 = id.x;
    if c4 >= sizes.c4 { return; }
    saved[c4] = running_mean[c4];
    saved[sizes.c4 + c4] = 1.0 / sqrt(running_var[c4] + vec4<f32>(sizes.eps));
}
