// The forward pass of a convolution except for storing its result: the pairs of tap and channels that a workgroup adds up, and
// their loads. The importing file supplies sizes, x, weight and store.
#import conv
#import gemm
#import operand

var<private> pixel: u32;
var<private> output: u32; // the pixel's index, counted through all parts
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
        from_scalars(x[at + min(row, last) * sizes.c4]), from_scalars(x[at + min(row + 1u, last) * sizes.c4]),
        from_scalars(x[at + min(row + 2u, last) * sizes.c4]), from_scalars(x[at + min(row + 3u, last) * sizes.c4])));
}

fn load_b(tap: Tap, k: u32, col: u32) -> mat4x4<f32> {
    let stride = sizes.r * sizes.s * sizes.c4;
    let at = tap.weight + k / 4u + min(col, 4u * sizes.k4 - 4u) * stride;
    return transpose(mat4x4<f32>(from_floats(weight[at]), from_floats(weight[at + stride]),
                                 from_floats(weight[at + 2u * stride]), from_floats(weight[at + 3u * stride])));
}

// What the workgroup with index z adds up; z counts pixels through all parts.
fn span_of(z: u32) -> Span {
    let pixels = sizes.p * sizes.q;
    let at = z % pixels;
    let r = taps_of_output(at / sizes.q, sizes.r, sizes.h);
    let s = taps_of_output(at % sizes.q, sizes.s, sizes.w);
    pixel = at;
    output = z;
    run_r = r;
    run_s = s;
    return share(r.count * s.count, 4u * sizes.c4, z / pixels, sizes.parts);
}
