// Muon's table of matrices. A matrix is stored where its tensor is in the arena: rows of 4*cols4 floats. `side` is the shorter
// of its two sides, that of its Gram matrix. src/optim/muon/tables.rs makes the table.
struct Matrix {
    first4: u32,      // first vec4 in the arena
    rows: u32,        // a multiple of four, as 4*cols4: padding is zero
    cols4: u32,
    side: u32,
    gram4: u32,       // first vec4 in a buffer of Gram matrices
    first_block: u32, // its first block in Muon's own table
    blocks: u32,
    factor: f32,      // on the rate (keller); or the norm that the weights are scaled to (airbench)
    decay: f32,       // 0 where weight decay leaves the matrix out, else 1
}
