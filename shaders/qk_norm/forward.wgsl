// y = x / sqrt(mean(x^2) + eps) for each query and key of a head; values pass. Henry, Dachapally, Pawar, Chen 2020, arXiv 2010.04245,
// with the root of the mean square. An invocation takes one query, key or value.
#import grid

struct Sizes { rows: u32, heads: u32, d4: u32, eps: f32 } // d4: vectors of a head's channels

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;       // [place][n][3][head][d4]
@group(0) @binding(2) var<storage, read_write> y: array<vec4<scalar>>; // [place][n][3][head][d4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = flat_group(group, groups) * 64u + lane;
    if row >= sizes.rows { return; }
    let first = row * sizes.d4;
    var inverse = 1.0;
    if row / sizes.heads % 3u < 2u {
        var squares = vec4<f32>();
        for (var i = first; i < first + sizes.d4; i++) {
            let value = vec4<f32>(x[i]);
            squares = fma(value, value, squares);
        }
        inverse = 1.0 / sqrt(dot(squares, vec4<f32>(1.0)) / f32(4u * sizes.d4) + sizes.eps);
    }
    for (var i = first; i < first + sizes.d4; i++) { y[i] = vec4<scalar>(vec4<f32>(x[i]) * inverse); }
}
