// y[image] = the weighted mean over six views of x[view][image]: 1/4 for the image and its mirror, 1/8 for each shifted one
// (Jordan 2024, arXiv 2404.00498, 3.5; augment/draw has the views).
struct Sizes { len4: u32 } // of y

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;       // [6][n][c4]
@group(0) @binding(2) var<storage, read_write> y: array<vec4<scalar>>; // [n][c4]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= sizes.len4 { return; }
    let centre = vec4<f32>(x[i]) + vec4<f32>(x[sizes.len4 + i]);
    var shifted = vec4<f32>();
    for (var view = 2u; view < 6u; view++) { shifted += vec4<f32>(x[view * sizes.len4 + i]); }
    y[i] = vec4<scalar>(0.25 * centre + 0.125 * shifted);
}
