// Part of gemm_matrix: computes one tile of the result from the staged depth, by all invocations of one subgroup together.
fn multiply(row: u32, col: u32, lane: u32) {
    var sum = MatrixC();
    #unroll s STEPS
    sum = coopMultiplyAdd(coopLoad<MatrixA>(&tile_a[$su * TILE * 64u + row], 64u),
                          coopLoadT<MatrixB>(&tile_b[$su * TILE * 64u + col], 64u), sum);
    #end
    coopStoreT(sum, &tile_c[row * 64u + col], 64u);
}
