// Muon, 5 of 7, once per Newton-Schulz step. B = b*A + c*A*A with b = -4.7750, c = 2.0315.
//
// A is symmetric, so its columns are read as rows; B is symmetric too, and stored as muon_gram stores A.
#import grid
#import products
#import operand

struct Sizes { first: u32, last: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> matrices: array<Matrix>;
@group(0) @binding(2) var<storage, read> gram: array<floats>;
@group(0) @binding(3) var<storage, read_write> polynomial: array<f32>;

var<private> matrix: Matrix;

fn product_of(m: Matrix) -> vec2<u32> { return vec2<u32>(m.side); }

alias Tap = u32;

fn gemm_tap(t: u32) -> Tap { return t; }

fn load_a(tap: Tap, row: u32, k: u32) -> mat4x4<f32> {
    let side4 = matrix.side / 4u;
    let at = matrix.gram4 + k * side4 + min(row / 4u, side4 - 1u);
    return mat4x4<f32>(from_floats(gram[at]), from_floats(gram[at + side4]),
                       from_floats(gram[at + 2u * side4]), from_floats(gram[at + 3u * side4]));
}

fn load_b(tap: Tap, k: u32, col: u32) -> mat4x4<f32> { return load_a(tap, col, k); }

fn store(row: u32, col: u32, value: vec4<f32>) {
    if row < matrix.side && col < matrix.side {
        let first = 4u * matrix.gram4;
        let sum = fma(vec4<f32>(-4.7750), from_floats(gram[matrix.gram4 + (row * matrix.side + col) / 4u]), 2.0315 * value);
        #unroll e 4
        if col + $eu >= row {
            polynomial[first + row * matrix.side + col + $eu] = sum[$e];
            polynomial[first + (col + $eu) * matrix.side + row] = sum[$e];
        }
        #end
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = find_tile(flat_group(group, groups));
    let m = matrices[tile.matrix];
    matrix = m;
    let below = tile.col0 + gemm_cols() <= tile.row0;
    gemm(tile.row0, tile.col0, lane, whole(1u, select(m.side, 0u, below)));
}
