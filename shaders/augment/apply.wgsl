// Crops an image of WIDTH by HEIGHT pixels out of a padding of 4, mirrors it, rotates it about the centre (nearest pixel, fill 0),
// and normalizes its bytes: (x/255 - mean) / std. The padding is black; with REFLECT it mirrors the image about its outermost
// pixels, which are not repeated.
//
// The rotation is Pillow's: the source of output pixel (i,j) is the affine image of (i+0.5, j+0.5) in 16.16 fixed point. Sine
// and cosine are Taylor polynomials, accurate to f32 below 45 degrees, since WGSL's own may be off by 2^-11.
struct Sizes {
    n: u32,      // images times views
    images: u32,
    mean_r: f32, mean_g: f32, mean_b: f32,
    scale_r: f32, scale_g: f32, scale_b: f32, // 1 / std
}

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> images: array<u32>;          // [images][CHANNELS][HEIGHT][WIDTH] bytes, four to a word
@group(0) @binding(2) var<storage, read> draws: array<vec4<f32>>;      // [n] (top, left, mirrored, degrees)
@group(0) @binding(3) var<storage, read_write> x: array<vec4<scalar>>; // [HEIGHT][WIDTH][n][1], (r, g, b, 0) or (grey, 0, 0, 0)

const SIZE: vec2<i32> = vec2<i32>(i32(WIDTH), i32(HEIGHT));

fn byte(at: u32) -> f32 { return f32((images[at / 4u] >> (8u * (at % 4u))) & 255u); }

fn fixed(v: f32) -> i32 { return i32(floor(v * 65536.0 + 0.5)); }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let n = group.x * 64u + lane;
    if n >= sizes.n { return; }
    var at = vec2<i32>(group.yz);
    let draw = draws[n];
    if draw.w != 0.0 {
        let turn = -radians(draw.w);
        let t2 = turn * turn;
        let c = 1.0 - t2 * (0.5 - t2 * (1.0 / 24.0 - t2 * (1.0 / 720.0 - t2 / 40320.0)));
        let s = turn * (1.0 - t2 * (1.0 / 6.0 - t2 * (1.0 / 120.0 - t2 * (1.0 / 5040.0 - t2 / 362880.0))));
        // The matrix is [c s; -s c], about the centre, and applies to pixel centres.
        let centre = 0.5 * vec2<f32>(SIZE);
        let first = centre - 0.5;
        let origin = vec2<f32>(centre.x - first.x * c - first.y * s, centre.y + first.x * s - first.y * c);
        let x_fixed = fixed(origin.x) + at.x * fixed(c) + at.y * fixed(s);
        let y_fixed = fixed(origin.y) + at.x * fixed(-s) + at.y * fixed(c);
        at = vec2<i32>(x_fixed >> 16u, y_fixed >> 16u);
    }
    var inside = all(at >= vec2<i32>()) && all(at < SIZE);
    if draw.z != 0.0 { at.x = SIZE.x - 1 - at.x; }
    at += vec2<i32>(i32(draw.y), i32(draw.x)) - 4;
    if REFLECT { at = SIZE - 1 - abs(SIZE - 1 - abs(at)); }
    inside = inside && all(at >= vec2<i32>()) && all(at < SIZE);
    var value = vec3<f32>();
    if inside {
        let plane = HEIGHT * WIDTH;
        let first = (n % sizes.images) * CHANNELS * plane + u32(at.y) * WIDTH + u32(at.x);
        value.x = byte(first);
        if CHANNELS == 3u { value = vec3<f32>(value.x, byte(first + plane), byte(first + 2u * plane)); }
    }
    let mean = vec3<f32>(sizes.mean_r, sizes.mean_g, sizes.mean_b);
    let scale = vec3<f32>(sizes.scale_r, sizes.scale_g, sizes.scale_b);
    var y = vec4<f32>((value / 255.0 - mean) * scale, 0.0);
    if CHANNELS == 1u { y = vec4<f32>(y.x, 0.0, 0.0, 0.0); }
    x[(group.z * WIDTH + group.y) * sizes.n + n] = vec4<scalar>(y);
}
