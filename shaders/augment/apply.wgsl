// Takes a part of an image of WIDTH by HEIGHT pixels, mirrors it, rotates it about the centre (shared/moved), changes its colours
// (shared/jittered) if there is a row JITTER of the draws for that, normalizes: (value - mean) / std, and sets a rectangle to zero,
// whose top, left, height and width are in the row ERASE.
#import moved
#import jittered

struct Sizes {
    n: u32,      // images times views
    images: u32,
    mean_r: f32, mean_g: f32, mean_b: f32,
    scale_r: f32, scale_g: f32, scale_b: f32, // 1 / std
}

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> images: array<u32>;           // [images][CHANNELS][HEIGHT][WIDTH] bytes, four to a word
@group(0) @binding(2) var<storage, read> draws: array<vec4<f32>>;      // [rows][n]: (top, left, mirrored, degrees), then the others
@group(0) @binding(3) var<storage, read_write> x: array<vec4<scalar>>; // [HEIGHT][WIDTH][n][1], (r, g, b, 0) or (grey, 0, 0, 0)

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group.x * 64u + lane;
    if n >= sizes.n { return; }
    var value = moved(n, vec2<i32>(group.yz)) / 255.0;
    if JITTER > 0u { value = jittered(n, value, false); }
    let mean = vec3<f32>(sizes.mean_r, sizes.mean_g, sizes.mean_b);
    let scale = vec3<f32>(sizes.scale_r, sizes.scale_g, sizes.scale_b);
    var y = vec4<f32>((value - mean) * scale, 0.0);
    if ERASE > 0u {
        let erased = vec4<i32>(draws[ERASE * sizes.n + n]);
        let place = vec2<i32>(group.zy);
        if all(place >= erased.xy) && all(place < erased.xy + erased.zw) { y = vec4<f32>(); }
    }
    if CHANNELS == 1u { y = vec4<f32>(y.x, 0.0, 0.0, 0.0); }
    x[(group.z * WIDTH + group.y) * sizes.n + n] = vec4<scalar>(y);
}
