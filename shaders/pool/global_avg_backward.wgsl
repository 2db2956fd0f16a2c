// d_x[pixel][n][c] = d_y[n][c] / pixels
struct Sizes { n_c4: u32, pixels: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<vec4<f32>>;          // [n][c4]
@group(0) @binding(2) var<storage, read_write> d_x: array<vec4<scalar>>; // [pixel][n][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group.x * 64u + lane;
    if i >= sizes.n_c4 { return; }
    let at = group.y * sizes.n_c4 + i;
    var value = d_y[i] / f32(sizes.pixels);
    if ACCUMULATE { value += vec4<f32>(d_x[at]); }
    d_x[at] = vec4<scalar>(value);
}
