// Takes a part of an image of WIDTH by HEIGHT pixels, mirrors it, rotates it about the centre (shared/moved), normalizes its bytes:
// (x/255 - mean) / std, and sets a rectangle to zero (shared/normalized).
#import moved
#import normalized

struct Sizes {
    n: u32,      // images times views
    images: u32,
    mean_r: f32, mean_g: f32, mean_b: f32,
    scale_r: f32, scale_g: f32, scale_b: f32, // 1 / std
}

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> images: array<u32>;          // [images][CHANNELS][HEIGHT][WIDTH] bytes, four to a word
@group(0) @binding(2) var<storage, read> draws: array<vec4<f32>>;      // [rows][n]: (top, left, mirrored, degrees), then the others
@group(0) @binding(3) var<storage, read_write> x: array<vec4<scalar>>; // [HEIGHT][WIDTH][n][1], (r, g, b, 0) or (grey, 0, 0, 0)

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group.x * 64u + lane;
    if n >= sizes.n { return; }
    let value = moved(n, vec2<i32>(group.yz)) / 255.0;
    x[(group.z * WIDTH + group.y) * sizes.n + n] = vec4<scalar>(normalized(n, value, vec2<i32>(group.zy)));
}
