// y = (x - mean) / sqrt(var + eps) * weight [+ bias], with the mean and the variance of each row: Ba, Kiros, Hinton 2016, arXiv
// 1607.06450; PyTorch's layer_norm over the last dimension. Without CENTRE the mean is taken to be 0: RMS norm, Zhang, Sennrich
// 2019, arXiv 1910.07467. A workgroup takes one row.
#import reduce
#import channels
#import grid

struct Sizes { rows: u32, c: u32, c4: u32, eps: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;       // [rows][c4]
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;     // [c4]
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;       // [c4], with BIAS
@group(0) @binding(4) var<storage, read_write> y: array<vec4<scalar>>; // [rows][c4]
@group(0) @binding(5) var<storage, read_write> saved: array<vec2<f32>>; // [rows] (mean, 1/sqrt(var + eps))

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = flat_group(group, groups);
    if row >= sizes.rows { return; }
    let first = row * sizes.c4;
    var mean = 0.0;
    if CENTRE {
        var sum = vec4<f32>();
        for (var i = lane; i < sizes.c4; i += LANES) { sum += within(i, vec4<f32>(x[first + i])); }
        mean = dot(reduce_sum(lane, sum), vec4<f32>(1.0)) / f32(sizes.c);
    }
    var squares = vec4<f32>();
    for (var i = lane; i < sizes.c4; i += LANES) {
        let d = within(i, vec4<f32>(x[first + i]) - mean);
        squares = fma(d, d, squares);
    }
    let inverse = 1.0 / sqrt(dot(reduce_sum(lane, squares), vec4<f32>(1.0)) / f32(sizes.c) + sizes.eps);
    for (var i = lane; i < sizes.c4; i += LANES) {
        var value = (vec4<f32>(x[first + i]) - mean) * inverse * weight[i];
        if BIAS { value += bias[i]; }
        y[first + i] = vec4<scalar>(within(i, value));
    }
    if lane == 0u { saved[row] = vec2<f32>(mean, inverse); }
}
