// One place of an LSTM (Hochreiter, Schmidhuber 1997, with the forget gate of Gers, Schmidhuber, Cummins 2000), as PyTorch's nn.LSTM:
//
//   [i f g o] = [sigmoid sigmoid tanh sigmoid](gates + W_hh h_before),  c = f c_before + i g,  h = o tanh(c)
//
// where `gates` has W_ih x and both biases before, and the gates' values after. The columns of the product are taken unit by unit,
// and for each unit its four gates, so that whoever stores four columns has what the unit's cell needs.
#import gemm
#import gates

struct Sizes { n: u32, units: u32, h4: u32, place: u32, places: u32 } // h4: vectors of the units, padded

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;       // [4][unit][h4]
@group(0) @binding(2) var<storage, read_write> gates: array<scalar>;     // [place][n][4][unit]
@group(0) @binding(3) var<storage, read_write> previous: array<scalar>;  // [place][n][4 h4], h of the place before
@group(0) @binding(4) var<storage, read_write> cells: array<f32>;        // [place + 1][n][4 h4], c of the place before
@group(0) @binding(5) var<storage, read_write> y: array<scalar>;         // [place][n][4 h4]

alias Tap = u32;

fn gemm_tap(t: u32) -> Tap { return sizes.place * sizes.n; }

fn hidden(row: u32, k: u32) -> vec4<f32> {
    let at = row * 4u * sizes.h4 + k;
    return vec4<f32>(f32(previous[at]), f32(previous[at + 1u]), f32(previous[at + 2u]), f32(previous[at + 3u]));
}

// Rows beyond the samples repeat the last one; they are not stored.
fn load_a(tap: Tap, row: u32, k: u32) -> mat4x4<f32> {
    let last = sizes.n - 1u;
    return transpose(mat4x4<f32>(hidden(tap + min(row, last), k), hidden(tap + min(row + 1u, last), k),
                                 hidden(tap + min(row + 2u, last), k), hidden(tap + min(row + 3u, last), k)));
}

fn load_b(tap: Tap, k: u32, col: u32) -> mat4x4<f32> {
    let gate = sizes.units * sizes.h4;
    let at = min(col / 4u, sizes.units - 1u) * sizes.h4 + k / 4u;
    return transpose(mat4x4<f32>(weight[at], weight[at + gate], weight[at + 2u * gate], weight[at + 3u * gate]));
}

fn store(row: u32, col: u32, value: vec4<f32>) {
    let unit = col / 4u;
    let stride = 4u * sizes.h4;
    if row >= sizes.n || unit >= stride { return; }
    let sample = sizes.place * sizes.n + row;
    let at = sample * stride + unit;
    let next = at + sizes.n * stride;
    var h = 0.0;
    var c = 0.0; // of the units that pad
    if unit < sizes.units {
        let first = sample * 4u * sizes.units + unit;
        let z = value + vec4<f32>(f32(gates[first]), f32(gates[first + sizes.units]), f32(gates[first + 2u * sizes.units]),
                                  f32(gates[first + 3u * sizes.units]));
        // tanh(z) = 2 sigmoid(2 z) - 1
        let of_gates = fma(vec4<f32>(1.0, 1.0, 2.0, 1.0), sigmoid(z * vec4<f32>(1.0, 1.0, 2.0, 1.0)), vec4<f32>(0.0, 0.0, -1.0, 0.0));
        c = fma(of_gates.y, cells[at], of_gates.x * of_gates.z);
        h = of_gates.w * hyperbolic_tangent(vec4<f32>(c)).x;
        #unroll e 4
        gates[first + $eu * sizes.units] = scalar(of_gates[$e]);
        #end
    }
    cells[next] = c;
    y[at] = scalar(h);
    if sizes.place + 1u < sizes.places { previous[next] = scalar(h); }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    gemm(group.x * gemm_rows(), group.y * gemm_cols(), lane, whole(1u, 4u * sizes.h4));
}
