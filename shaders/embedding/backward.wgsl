// d_weight[token] += the sum of d_y over the rows with that token / scale.
//
// A workgroup takes the row where its token occurs first, and adds up all later ones in their order; the workgroups of other
// rows end at once. So nothing is added by two workgroups, and the sum's order is that of the rows.
#import reduce
#import grid
#import scaler

struct Sizes { rows: u32, c4: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> tokens: array<u32>;               // [rows], below the vocabulary
@group(0) @binding(2) var<storage, read> d_y: array<vec4<scalar>>;         // [rows][c4]
@group(0) @binding(3) var<storage, read> scaler: Scaler;
@group(0) @binding(4) var<storage, read_write> d_weight: array<vec4<f32>>; // [vocabulary][c4]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let first = flat_group(group, groups);
    if first >= sizes.rows { return; }
    let token = tokens[first];
    var earlier = vec4<f32>();
    for (var row = lane; row < first; row += LANES) {
        if tokens[row] == token { earlier.x = 1.0; }
    }
    if reduce_sum(lane, earlier).x > 0.0 { return; }
    for (var c4 = lane; c4 < sizes.c4; c4 += LANES) {
        var sum = vec4<f32>();
        for (var row = first; row < sizes.rows; row++) {
            if tokens[row] == token { sum += vec4<f32>(d_y[row * sizes.c4 + c4]); }
        }
        d_weight[token * sizes.c4 + c4] += inverse_scale() * sum;
    }
}
