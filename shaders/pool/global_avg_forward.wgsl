// y[n][c] = mean over all pixels of x[pixel][n][c]. y is small, so it is f32 even if maps are f16.
struct Sizes { n_c4: u32, pixels: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;    // [pixel][n][c4]
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>; // [n][c4]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= sizes.n_c4 { return; }
    var sum = vec4<f32>();
    for (var pixel = 0u; pixel < sizes.pixels; pixel++) { sum += vec4<f32>(x[pixel * sizes.n_c4 + id.x]); }
    y[id.x] = sum / f32(sizes.pixels);
}
