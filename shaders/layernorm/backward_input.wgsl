// d_x = (g - mean(g) - x_hat * mean(g * x_hat)) / sqrt(var + eps), with g = d_y * weight and means over the row. Without CENTRE
// (RMS norm) there is no mean(g). A workgroup takes one row.
#import reduce
#import channels
#import grid

struct Sizes { rows: u32, c: u32, c4: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<vec4<scalar>>;       // [rows][c4]
@group(0) @binding(2) var<storage, read> x: array<vec4<scalar>>;         // [rows][c4]
@group(0) @binding(3) var<storage, read> weight: array<vec4<f32>>;       // [c4], 0 beyond c
@group(0) @binding(4) var<storage, read> saved: array<vec2<f32>>;        // [rows] (mean, 1/sqrt(var + eps))
@group(0) @binding(5) var<storage, read_write> d_x: array<vec4<scalar>>; // [rows][c4]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = flat_group(group, groups);
    if row >= sizes.rows { return; }
    let first = row * sizes.c4;
    let mean = saved[row].x;
    let inverse = saved[row].y;
    var sums = vec4<f32>(); // of g, and of g * x_hat
    for (var i = lane; i < sizes.c4; i += LANES) {
        let g = vec4<f32>(d_y[first + i]) * weight[i];
        let x_hat = (vec4<f32>(x[first + i]) - mean) * inverse;
        sums += vec4<f32>(dot(g, vec4<f32>(1.0)), dot(g, x_hat), 0.0, 0.0);
    }
    sums = reduce_sum(lane, sums) / f32(sizes.c);
    if !CENTRE { sums.x = 0.0; }
    for (var i = lane; i < sizes.c4; i += LANES) {
        let g = vec4<f32>(d_y[first + i]) * weight[i];
        let x_hat = (vec4<f32>(x[first + i]) - mean) * inverse;
        var value = inverse * (g - sums.x - x_hat * sums.y);
        value = within(i, value);
        if ACCUMULATE { value += vec4<f32>(d_x[first + i]); }
        d_x[first + i] = vec4<scalar>(value);
    }
}
