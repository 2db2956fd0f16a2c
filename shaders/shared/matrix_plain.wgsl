// The product of matrix_multiply in plain arithmetic, where each invocation of a subgroup computes some elements, so that tests
// can run the rest of gemm_matrix on devices without cooperative matrices.
fn multiply(row: u32, col: u32, lane: u32) {
    for (var i = lane; i < TILE * TILE; i += SUBGROUP) {
        let at_a = row + i / TILE;
        let at_b = col + i % TILE;
        var sum = 0.0;
        for (var k = 0u; k < 32u; k++) { sum = fma(f32(tile_a[k * 64u + at_a]), f32(tile_b[k * 64u + at_b]), sum); }
        tile_c[at_a * 64u + at_b] = sum;
    }
}
