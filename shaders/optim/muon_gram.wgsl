// Muon, 4 of 7, once per Newton-Schulz step. The Gram matrix over the shorter side: A = X X^T, or with TALL A = X^T X.
//
// A is symmetric: a workgroup below the diagonal computes nothing, and results above the diagonal are stored twice.
#import grid
#import products
#import operand

struct Sizes { first: u32, last: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> matrices: array<Matrix>;
@group(0) @binding(2) var<storage, read> x: array<floats>;
@group(0) @binding(3) var<storage, read_write> gram: array<f32>;

var<private> matrix: Matrix;

fn product_of(m: Matrix) -> vec2<u32> { return vec2<u32>(m.side); }

alias Tap = u32;

fn gemm_tap(t: u32) -> Tap { return t; }

// Rows beyond the side repeat the last ones; they are not stored.
fn load_a(tap: Tap, row: u32, k: u32) -> mat4x4<f32> {
    let cols4 = matrix.cols4;
    if TALL {
        let at = matrix.first4 + k * cols4 + min(row / 4u, cols4 - 1u);
        return mat4x4<f32>(from_floats(x[at]), from_floats(x[at + cols4]),
                           from_floats(x[at + 2u * cols4]), from_floats(x[at + 3u * cols4]));
    }
    let at = matrix.first4 + min(row, matrix.rows - 4u) * cols4 + k / 4u;
    return transpose(mat4x4<f32>(from_floats(x[at]), from_floats(x[at + cols4]),
                                 from_floats(x[at + 2u * cols4]), from_floats(x[at + 3u * cols4])));
}

fn load_b(tap: Tap, k: u32, col: u32) -> mat4x4<f32> { return load_a(tap, col, k); }

fn store(row: u32, col: u32, value: vec4<f32>) {
    if row < matrix.side && col < matrix.side {
        let first = 4u * matrix.gram4;
        #unroll e 4
        if col + $eu >= row {
            gram[first + row * matrix.side + col + $eu] = value[$e];
            gram[first + (col + $eu) * matrix.side + row] = value[$e];
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
    gemm(tile.row0, tile.col0, lane, whole(1u, select(select(4u * m.cols4, m.rows, TALL), 0u, below)));
}
