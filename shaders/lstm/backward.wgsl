// The gradients of one place's gates, before their functions, from the place behind it:
//
//   d_h = d_y + d_gates_behind W_hh,   d_c += d_h o (1 - tanh(c)^2)
//   d_i = d_c g i (1 - i),  d_f = d_c c_before f (1 - f),  d_g = d_c i (1 - g^2),  d_o = d_h tanh(c) o (1 - o),  d_c_before = d_c f
//
// The last place has none behind it: its depth is 0, and its d_c is read and not used.
#import gemm
#import gates

struct Sizes { n: u32, units: u32, h4: u32, place: u32, depth: u32 } // h4: vectors of the units, padded; depth: 4 units, or 0

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;    // [4][unit][h4]
@group(0) @binding(2) var<storage, read> gates: array<scalar>;        // [place][n][4][unit]
@group(0) @binding(3) var<storage, read> cells: array<vec4<f32>>;     // [place + 1][n][h4], c of the place before
@group(0) @binding(4) var<storage, read> d_y: array<vec4<scalar>>;    // [place][n][h4]
@group(0) @binding(5) var<storage, read_write> d_c: array<vec4<f32>>; // [n][h4]
@group(0) @binding(6) var<storage, read_write> d_gates: array<scalar>; // [place][n][4][unit]

alias Tap = u32;

fn gemm_tap(t: u32) -> Tap { return (sizes.place + 1u) * sizes.n; }

fn behind(row: u32, k: u32) -> vec4<f32> {
    let at = row * 4u * sizes.units + k;
    return vec4<f32>(f32(d_gates[at]), f32(d_gates[at + 1u]), f32(d_gates[at + 2u]), f32(d_gates[at + 3u]));
}

// Rows beyond the samples repeat the last one; they are not stored.
fn load_a(tap: Tap, row: u32, k: u32) -> mat4x4<f32> {
    let last = sizes.n - 1u;
    return transpose(mat4x4<f32>(behind(tap + min(row, last), k), behind(tap + min(row + 1u, last), k),
                                 behind(tap + min(row + 2u, last), k), behind(tap + min(row + 3u, last), k)));
}

fn load_b(tap: Tap, k: u32, col: u32) -> mat4x4<f32> {
    let at = k * sizes.h4 + min(col / 4u, sizes.h4 - 1u);
    return mat4x4<f32>(weight[at], weight[at + sizes.h4], weight[at + 2u * sizes.h4], weight[at + 3u * sizes.h4]);
}

fn gate(first: u32, unit: u32) -> vec4<f32> {
    let at = first + unit;
    let last = first + sizes.units - 1u; // of the units that pad, nothing is stored
    return vec4<f32>(f32(gates[min(at, last)]), f32(gates[min(at + 1u, last)]), f32(gates[min(at + 2u, last)]),
                     f32(gates[min(at + 3u, last)]));
}

fn put(first: u32, unit: u32, value: vec4<f32>) {
    #unroll e 4
    if unit + $eu < sizes.units { d_gates[first + unit + $eu] = scalar(value[$e]); }
    #end
}

fn store(row: u32, col: u32, value: vec4<f32>) {
    if row >= sizes.n || col >= 4u * sizes.h4 { return; }
    let own = row * sizes.h4 + col / 4u;
    let at = sizes.place * sizes.n * sizes.h4 + own;
    let first = (sizes.place * sizes.n + row) * 4u * sizes.units;
    let i = gate(first, col);
    let f = gate(first + sizes.units, col);
    let g = gate(first + 2u * sizes.units, col);
    let o = gate(first + 3u * sizes.units, col);
    let t = hyperbolic_tangent(cells[at + sizes.n * sizes.h4]);
    let d_h = value + vec4<f32>(d_y[at]);
    let later = select(d_c[own], vec4<f32>(), sizes.depth == 0u);
    let d_cell = fma(d_h * o, fma(-t, t, vec4<f32>(1.0)), later);
    put(first, col, d_cell * g * i * (1.0 - i));
    put(first + sizes.units, col, d_cell * cells[at] * f * (1.0 - f));
    put(first + 2u * sizes.units, col, d_cell * i * fma(-g, g, vec4<f32>(1.0)));
    put(first + 3u * sizes.units, col, d_h * t * o * (1.0 - o));
    // Those that pad have a gradient of 0 from d_y and the weight, and keep it.
    d_c[own] = d_cell * f;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    gemm(group.x * gemm_rows(), group.y * gemm_cols(), lane, whole(1u, sizes.depth));
}
