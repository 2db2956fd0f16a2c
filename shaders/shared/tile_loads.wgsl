// Rows that all lanes of a workgroup need, KEYS at a time, of which each lane loads every one: lanes of a GPU that load the same
// address share the load. tile_broadcasts is the form for devices where a load costs far more than arithmetic.
//
// The importing file supplies row_at(side, place), where a row on one of two sides begins, and load(side, at), one of its vectors.
var<private> tile_at: array<u32, 2u * KEYS>;

fn stage(side: u32, first: u32, lane: u32) {
    #unroll j KEYS
    tile_at[side * KEYS + $ju] = row_at(side, first + $ju);
    #end
}

#unroll j KEYS
fn row_$j(side: u32, i: u32) -> vec4<f32> { return load(side, tile_at[side * KEYS + $ju] + i); }
#end
