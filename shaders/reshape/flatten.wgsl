// y[n][(c * pixels) + pixel] = x[pixel][n][c]: a map as one row per image, channel by channel as PyTorch's flatten has it. The
// backward pass reads the gradient of y at the same place. One invocation takes four channels of x.
#import grid

// len4: vectors of the map; stride: floats from a row to the next
struct Sizes { len4: u32, n: u32, c: u32, c4: u32, pixels: u32, stride: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;      // [pixel][n][c4]
@group(0) @binding(2) var<storage, read_write> y: array<scalar>;      // [n][stride]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len4 { return; }
    let first = 4u * (i % sizes.c4);
    let n = i / sizes.c4 % sizes.n;
    let pixel = i / (sizes.c4 * sizes.n);
    let value = x[i];
    for (var k = 0u; k < 4u; k++) {
        if first + k < sizes.c { y[n * sizes.stride + (first + k) * sizes.pixels + pixel] = value[k]; }
    }
    // The last elements of a row only fill it up to whole vectors.
    if first == 0u && pixel == 0u {
        for (var k = sizes.c * sizes.pixels; k < sizes.stride; k++) { y[n * sizes.stride + k] = scalar(0.0); }
    }
}
