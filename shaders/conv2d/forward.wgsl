// y[p,q][n][k] = sum over taps (r,s) and channels c of x[p*stride+r-pad, q*stride+s-pad][n][c] * weight[k][r][s][c]
//
// One workgroup: one output pixel (z), a tile of images (rows), a tile of output channels (columns). f32 accumulators,
// taps outermost. The cross-correlation of Goodfellow et al., Deep Learning, eq. 9.6; PyTorch's conv2d. In several parts, each
// adds up a share of the taps and channels, and y is [part][p][q][n][k4] of f32 for sum_parts.
#import conv
#import gemm
#import result

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;       // [h][w][n][c4]
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;     // [k][r][s][c4]
@group(0) @binding(3) var<storage, read_write> y: array<vec4<result>>; // [p][q][n][k4]

var<private> pixel: u32;
var<private> output: u32; // the pixel's number through all parts
var<private> run_r: Run;
var<private> run_s: Run;

struct Tap { x: u32, weight: u32 } // where the tap's matrices begin

fn gemm_tap(t: u32) -> Tap {
    let r = run_r.first + t / run_s.count;
    let s = run_s.first + t % run_s.count;
    let h = pixel / sizes.q * sizes.stride + r - sizes.pad;
    let w = pixel % sizes.q * sizes.stride + s - sizes.pad;
    return Tap((h * sizes.w + w) * sizes.n * sizes.c4, (r * sizes.s + s) * sizes.c4);
}

// Rows beyond the batch read its last image again; they are not stored.
fn load_a(tap: Tap, row: u32, k: u32) -> mat4x4<f32> {
    let at = tap.x + k / 4u;
    let last = sizes.n - 1u;
    return transpose(mat4x4<f32>(
        vec4<f32>(x[at + min(row, last) * sizes.c4]), vec4<f32>(x[at + min(row + 1u, last) * sizes.c4]),
        vec4<f32>(x[at + min(row + 2u, last) * sizes.c4]), vec4<f32>(x[at + min(row + 3u, last) * sizes.c4])));
}

fn load_b(tap: Tap, k: u32, col: u32) -> mat4x4<f32> {
    let stride = sizes.r * sizes.s * sizes.c4;
    let at = tap.weight + k / 4u + min(col, 4u * sizes.k4 - 4u) * stride;
    return transpose(mat4x4<f32>(weight[at], weight[at + stride], weight[at + 2u * stride], weight[at + 3u * stride]));
}

fn store(row: u32, col: u32, value: vec4<f32>) {
    if row < sizes.n && col < 4u * sizes.k4 {
        y[(output * sizes.n + row) * sizes.k4 + col / 4u] = vec4<result>(value);
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let pixels = sizes.p * sizes.q;
    let at = group.z % pixels;
    let r = taps_of_output(at / sizes.q, sizes.r, sizes.h);
    let s = taps_of_output(at % sizes.q, sizes.s, sizes.w);
    pixel = at;
    output = group.z;
    run_r = r;
    run_s = s;
    let span = share(r.count * s.count, 4u * sizes.c4, group.z / pixels, sizes.parts);
    gemm(group.x * gemm_rows(), group.y * gemm_cols(), lane, span);
}
