// d_x = (d_y - x_hat * mean(d_y * x_hat)) / sqrt(mean(x^2) + eps) for each query and key of a head; the gradient of values passes.
#import grid

struct Sizes { rows: u32, heads: u32, d4: u32, eps: f32 } // as in qk_norm/forward

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;         // [place][n][3][head][d4]
@group(0) @binding(2) var<storage, read> d_y: array<vec4<scalar>>;       // [place][n][3][head][d4]
@group(0) @binding(3) var<storage, read_write> d_x: array<vec4<scalar>>; // [place][n][3][head][d4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = flat_group(group, groups) * 64u + lane;
    if row >= sizes.rows { return; }
    let first = row * sizes.d4;
    var inverse = 1.0;
    var along = 0.0;
    if row / sizes.heads % 3u < 2u {
        var squares = vec4<f32>();
        var products = vec4<f32>();
        for (var i = first; i < first + sizes.d4; i++) {
            let value = vec4<f32>(x[i]);
            squares = fma(value, value, squares);
            products = fma(value, vec4<f32>(d_y[i]), products);
        }
        let d = f32(4u * sizes.d4);
        inverse = 1.0 / sqrt(dot(squares, vec4<f32>(1.0)) / d + sizes.eps);
        along = dot(products, vec4<f32>(1.0)) / d * inverse * inverse;
    }
    for (var i = first; i < first + sizes.d4; i++) {
        var value = inverse * fma(vec4<f32>(-along), vec4<f32>(x[i]), vec4<f32>(d_y[i]));
        if ACCUMULATE { value += vec4<f32>(d_x[i]); }
        d_x[i] = vec4<scalar>(value);
    }
}
