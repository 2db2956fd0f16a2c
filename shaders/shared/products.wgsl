// The grid of a product over several matrices of any shapes in one dispatch: workgroups are numbered through the tiles of matrix
// sizes.first, then of the next, up to sizes.last.
//
// A workgroup beyond the last tile computes one outside the last matrix, which is not stored: a return before the product would
// cost a software device more, since it then masks every load after it.
//
// The importing file supplies `matrices`, `sizes` and product_of(matrix): rows and columns of the result.
#import matrices
#import gemm

struct Tile { matrix: u32, row0: u32, col0: u32 }

const OUTSIDE = 0x40000000u;

fn find_tile(index: u32) -> Tile {
    var at = index;
    for (var i = sizes.first; i < sizes.last; i++) {
        let size = product_of(matrices[i]);
        let across = (size.y + gemm_cols() - 1u) / gemm_cols();
        let count = across * ((size.x + gemm_rows() - 1u) / gemm_rows());
        if at < count { return Tile(i, at / across * gemm_rows(), at % across * gemm_cols()); }
        at -= count;
    }
    return Tile(sizes.last - 1u, OUTSIDE, OUTSIDE);
}
