// d_weight[k][r][s][c] (+)= sum over output pixels (p,q) and images n of
//     d_y[p,q][n][k] / scale * x[p*stride+r-pad, q*stride+s-pad][n][c]
//
// One workgroup computes a tile of output channels (rows) by a tile of input channels (columns) at one tap (z). The sum runs
// over the pixels for which the tap lies on the map, then over images. A tap that lies in the padding for all pixels adds
// nothing, and has no workgroup (first_r, live_r). With WIDE_ROW, columns run over (s,c) together and z is r alone, so that a
// map of few channels fills the tile too.
// If a sum is split into parts, each takes a share of the pixels and images, and d_weight is [part][k][r][s][c4] for sum_parts.
#import conv
#import scaler
#import gemm
#import operand

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<scalars>;              // [p][q][n][k4]
@group(0) @binding(2) var<storage, read> x: array<scalars>;                // [h][w][n][c4]
@group(0) @binding(3) var<storage, read> scaler: Scaler;
@group(0) @binding(4) var<storage, read_write> d_weight: array<vec4<f32>>; // [k][r][s][c4]

var<private> unscale: f32;
var<private> first: u32; // where this part of d_weight begins
var<private> tap_r: u32;
var<private> tap_s: u32;
var<private> run_p: Run;
var<private> run_q: Run;

struct Tap { d_y: u32, h: u32, q: u32 }

fn gemm_tap(t: u32) -> Tap {
    let p = run_p.first + t / run_q.count;
    let q = run_q.first + t % run_q.count;
    return Tap((p * sizes.q + q) * sizes.n * sizes.k4, p * sizes.stride + tap_r - sizes.pad, q);
}

// Images beyond the batch must count as zero: A is zero for them, and B reads the last image again.
fn load_a(tap: Tap, row: u32, k: u32) -> mat4x4<f32> {
    let at = tap.d_y + min(row / 4u, sizes.k4 - 1u);
    var block = mat4x4<f32>();
    #unroll d 4
    if k + $du < sizes.n { block[$d] = from_scalars(d_y[at + (k + $du) * sizes.k4]); }
    #end
    return block;
}

fn load_b(tap: Tap, k: u32, col: u32) -> mat4x4<f32> {
    let last = sizes.n - 1u;
    var c4 = col / 4u;
    var s = tap_s;
    if WIDE_ROW {
        s = min(c4 / sizes.c4, sizes.s - 1u);
        c4 = c4 % sizes.c4;
    }
    c4 = min(c4, sizes.c4 - 1u);
    let w = tap.q * sizes.stride + s - sizes.pad; // wraps around if it lies left of the map, and is then not below sizes.w either
    let on_map = !WIDE_ROW || w < sizes.w;
    let at = (tap.h * sizes.w + select(0u, w, on_map)) * sizes.n * sizes.c4 + c4;
    #unroll d 4
    let x_$d = select(vec4<f32>(), from_scalars(x[at + min(k + $du, last) * sizes.c4]), on_map);
    #end
    return mat4x4<f32>(x_0, x_1, x_2, x_3);
}

fn store(row: u32, col: u32, value: vec4<f32>) {
    let columns = select(sizes.c4, sizes.s * sizes.c4, WIDE_ROW);
    if row < 4u * sizes.k4 && col < 4u * columns {
        let at = first + ((row * sizes.r + tap_r) * sizes.s + tap_s) * sizes.c4 + col / 4u;
        var sum = unscale * value;
        if ACCUMULATE { sum += d_weight[at]; }
        d_weight[at] = sum;
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let taps = sizes.live_r * select(sizes.live_s, 1u, WIDE_ROW);
    let part = group.z / taps;
    var r = sizes.first_r + group.z % taps;
    var columns = Run(0u, sizes.q);
    if !WIDE_ROW {
        r = sizes.first_r + group.z % taps / sizes.live_s;
        let s = sizes.first_s + group.z % taps % sizes.live_s;
        tap_s = s;
        columns = outputs_of_tap(s, sizes.q, sizes.w);
    }
    let rows = outputs_of_tap(r, sizes.p, sizes.h);
    unscale = inverse_scale();
    first = part * 4u * sizes.k4 * sizes.r * sizes.s * sizes.c4;
    tap_r = r;
    run_p = rows;
    run_q = columns;
    let span = share(rows.count * columns.count, sizes.n, part, sizes.parts);
    gemm(group.x * gemm_rows(), group.y * gemm_cols(), lane, span);
}
