// Muon, 6 of 7, once per Newton-Schulz step. X' = a*X + B*X, or with TALL a*X + X*B, a = 3.4445; B is symmetric.
//
// One step of the quintic a*s + b*s^3 + c*s^5 on every singular value s: Jordan et al. 2024, "Muon: An optimizer for
// hidden layers in neural networks".
#import grid
#import products
#import operand

struct Sizes { first: u32, last: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> matrices: array<Matrix>;
@group(0) @binding(2) var<storage, read> polynomial: array<floats>;
@group(0) @binding(3) var<storage, read> x: array<floats>;
@group(0) @binding(4) var<storage, read_write> x_next: array<vec4<f32>>;

var<private> matrix: Matrix;

fn product_of(m: Matrix) -> vec2<u32> { return vec2<u32>(m.rows, 4u * m.cols4); }

alias Tap = u32;

fn gemm_tap(t: u32) -> Tap { return t; }

// Rows k .. k+3 of B at four columns; columns beyond the side repeat the last ones.
fn rows_of_b(k: u32, col: u32) -> mat4x4<f32> {
    let side4 = matrix.side / 4u;
    let at = matrix.gram4 + k * side4 + min(col / 4u, side4 - 1u);
    return mat4x4<f32>(from_floats(polynomial[at]), from_floats(polynomial[at + side4]),
                       from_floats(polynomial[at + 2u * side4]), from_floats(polynomial[at + 3u * side4]));
}

// Rows k .. k+3 of X at four columns.
fn rows_of_x(k: u32, col: u32) -> mat4x4<f32> {
    let cols4 = matrix.cols4;
    let at = matrix.first4 + min(k, matrix.rows - 4u) * cols4 + min(col / 4u, cols4 - 1u);
    return mat4x4<f32>(from_floats(x[at]), from_floats(x[at + cols4]), from_floats(x[at + 2u * cols4]), from_floats(x[at + 3u * cols4]));
}

fn load_a(tap: Tap, row: u32, k: u32) -> mat4x4<f32> {
    if TALL { return transpose(rows_of_x(row, k)); }
    return rows_of_b(k, row);
}

fn load_b(tap: Tap, k: u32, col: u32) -> mat4x4<f32> {
    if TALL { return rows_of_b(k, col); }
    return rows_of_x(k, col);
}

fn store(row: u32, col: u32, value: vec4<f32>) {
    if row < matrix.rows && col < 4u * matrix.cols4 {
        let at = matrix.first4 + row * matrix.cols4 + col / 4u;
        x_next[at] = fma(vec4<f32>(3.4445), from_floats(x[at]), value);
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let tile = find_tile(flat_group(group, groups));
    let m = matrices[tile.matrix];
    matrix = m;
    gemm(tile.row0, tile.col0, lane, whole(1u, m.side));
}
