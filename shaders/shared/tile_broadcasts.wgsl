// tile_loads for workgroups that are one subgroup of KEYS lanes: each lane loads one of the rows, and gives it to the others.
var<private> tile: array<vec4<f32>, 2u * D4>;

fn stage(side: u32, first: u32, lane: u32) {
    let at = row_at(side, first + lane);
    #unroll i D4
    tile[side * D4 + $iu] = load(side, at + $iu);
    #end
}

#unroll j KEYS
fn row_$j(side: u32, i: u32) -> vec4<f32> { return subgroupBroadcast(tile[side * D4 + i], $ju); }
#end
