// d_x[h,w][n][c] = sum over taps (r,s) and channels k of d_y[(h+pad-r)/stride, (w+pad-s)/stride][n][k] * weight[k][r][s][c]
//
// over the taps for which both quotients are whole and lie in the output map. One workgroup computes one input pixel (z), a tile
// of images (rows) and a tile of input channels (columns). ACCUMULATE adds to d_x, for an x with a second consumer. If a sum is
// split into parts, each takes a share of the taps and channels, and d_x is [part][h][w][n][c4] in f32, for sum_parts.
#import conv
#import gemm
#import operand
#import result

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<scalars>;            // [p][q][n][k4]
@group(0) @binding(2) var<storage, read> weight: array<floats>;          // [k][r][s][c4]
@group(0) @binding(3) var<storage, read_write> d_x: array<vec4<result>>; // [h][w][n][c4]

var<private> pixel: u32;
var<private> output: u32; // the pixel's index, counted through all parts
var<private> run_r: Run;
var<private> run_s: Run;

struct Tap { d_y: u32, weight: u32 } // where the tap's matrices begin

fn gemm_tap(t: u32) -> Tap {
    let r = run_r.first + t / run_s.count * sizes.stride;
    let s = run_s.first + t % run_s.count * sizes.stride;
    let p = (pixel / sizes.w + sizes.pad - r) / sizes.stride;
    let q = (pixel % sizes.w + sizes.pad - s) / sizes.stride;
    return Tap((p * sizes.q + q) * sizes.n * sizes.k4, (r * sizes.s + s) * sizes.c4);
}

fn load_a(tap: Tap, row: u32, k: u32) -> mat4x4<f32> {
    let at = tap.d_y + k / 4u;
    let last = sizes.n - 1u;
    return transpose(mat4x4<f32>(
        from_scalars(d_y[at + min(row, last) * sizes.k4]), from_scalars(d_y[at + min(row + 1u, last) * sizes.k4]),
        from_scalars(d_y[at + min(row + 2u, last) * sizes.k4]), from_scalars(d_y[at + min(row + 3u, last) * sizes.k4])));
}

fn load_b(tap: Tap, k: u32, col: u32) -> mat4x4<f32> {
    let stride = sizes.r * sizes.s * sizes.c4;
    let at = tap.weight + k * stride + min(col / 4u, sizes.c4 - 1u);
    return mat4x4<f32>(from_floats(weight[at]), from_floats(weight[at + stride]),
                       from_floats(weight[at + 2u * stride]), from_floats(weight[at + 3u * stride]));
}

fn store(row: u32, col: u32, value: vec4<f32>) {
    if row < sizes.n && col < 4u * sizes.c4 {
        let at = (output * sizes.n + row) * sizes.c4 + col / 4u;
        var sum = value;
        if ACCUMULATE { sum += vec4<f32>(d_x[at]); }
        d_x[at] = vec4<result>(sum);
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let pixels = sizes.h * sizes.w;
    let at = group.z % pixels;
    let r = taps_of_input(at / sizes.w, sizes.r, sizes.p);
    let s = taps_of_input(at % sizes.w, sizes.s, sizes.q);
    pixel = at;
    output = group.z;
    run_r = r;
    run_s = s;
    let span = share(r.count * s.count, 4u * sizes.k4, group.z / pixels, sizes.parts);
    gemm(group.x * gemm_rows(), group.y * gemm_cols(), lane, span);
}
