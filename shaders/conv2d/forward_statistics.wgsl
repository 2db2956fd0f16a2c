// conv2d/forward with whole sums, and what batchnorm/partial would compute from its result: per tile of rows and channel the
// mean, and the sum of squared differences from it (M2). The tile is still in registers, so y need not be read again.
//
// The number of images is a multiple of the tile's rows. Sums run over y - y_first, as there; the columns of an invocation lie
// in one half of the tile, or are one group of four in each half.
#import forward

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<scalars>;               // [h][w][n][c4]
@group(0) @binding(2) var<storage, read> weight: array<floats>;           // [k][r][s][c4]
@group(0) @binding(3) var<storage, read_write> y: array<vec4<scalar>>;    // [p][q][n][k4]
@group(0) @binding(4) var<storage, read_write> partial: array<vec4<f32>>; // [p][q][tile][mean, M2][k4]

struct Column { col: u32, row: u32, count: f32, first: vec4<f32>, sum: vec4<f32>, squares: vec4<f32> }

var<private> half: u32;     // the first column of the tile's second half
var<private> left: Column;  // statistics of this invocation's columns in the first half
var<private> right: Column; // and in the second

fn add(column: Column, row: u32, col: u32, value: vec4<f32>) -> Column {
    if column.count == 0.0 { return Column(col, row, 1.0, value, vec4<f32>(), vec4<f32>()); }
    let d = value - column.first;
    return Column(column.col, column.row, column.count + 1.0, column.first, column.sum + d, fma(d, d, column.squares));
}

fn store(row: u32, col: u32, value: vec4<f32>) {
    if row < sizes.n && col < 4u * sizes.k4 {
        let stored = vec4<scalar>(value);
        y[(output * sizes.n + row) * sizes.k4 + col / 4u] = stored;
        if col < half { left = add(left, row, col, vec4<f32>(stored)); }
        else { right = add(right, row, col, vec4<f32>(stored)); }
    }
}

// Merges the statistics of the invocations of a column (Chan, Golub, LeVeque 1983); the one with the tile's first row stores
// them.
fn finish(column: Column, lane: u32, row0: u32) {
    let count = max(column.count, 1.0);
    let own = column.first + column.sum / count;
    let m2 = column.squares - column.sum * column.sum / count;
    let mean = sum_over_rows(lane, column.count * own) / f32(gemm_rows());
    let d = own - mean;
    let total = sum_over_rows(lane, select(m2, vec4<f32>(), m2 < vec4<f32>()) + column.count * d * d); // a NaN stays a NaN
    if column.count > 0.0 && column.row == row0 {
        let at = (output * sizes.n + row0) / gemm_rows() * 2u * sizes.k4 + column.col / 4u;
        partial[at] = mean;
        partial[at + sizes.k4] = total;
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row0 = group.x * gemm_rows();
    let col0 = group.y * gemm_cols();
    half = col0 + gemm_cols() / 2u;
    gemm(row0, col0, lane, span_of(group.z));
    finish(left, lane, row0);
    finish(right, lane, row0);
}
