// d_x = gamma / sqrt(var + eps) * (g - (sum g + x_hat * sum g*x_hat) / rows), g = d_y (where y > 0 with RELU).
// Ioffe, Szegedy 2015, section 3, simplified. The other summand of y receives g (ACCUMULATE: it has more consumers).
#import rows

struct Sizes { rows: u32, c4: u32, chunk_rows: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<vec4<scalar>>;       // [rows][c4]
@group(0) @binding(2) var<storage, read> y: array<vec4<scalar>>;         // [rows][c4]; only read with RELU
@group(0) @binding(3) var<storage, read> x: array<vec4<scalar>>;         // [rows][c4]
@group(0) @binding(4) var<storage, read> saved: array<vec4<f32>>;        // [mean, 1/sqrt(var + eps)][c4]
@group(0) @binding(5) var<storage, read> sums: array<vec4<f32>>;         // [sum g, sum g*x_hat][c4]
@group(0) @binding(6) var<storage, read> gamma: array<vec4<f32>>;            // [c4]
@group(0) @binding(7) var<storage, read_write> d_x: array<vec4<scalar>>;     // [rows][c4]
@group(0) @binding(8) var<storage, read_write> d_other: array<vec4<scalar>>; // [rows][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let part = part_of(group, groups, lane);
    let mean = saved[part.c4];
    let inverse = saved[sizes.c4 + part.c4];
    let scale = gamma[part.c4] * inverse;
    let mean_g = sums[part.c4] / f32(sizes.rows);
    let mean_dot = sums[sizes.c4 + part.c4] / f32(sizes.rows);
    for (var row = part.first; row < part.last; row++) {
        let at = row * sizes.c4 + part.c4;
        var g = vec4<f32>(d_y[at]);
        if RELU { g = select(vec4<f32>(), g, vec4<f32>(y[at]) > vec4<f32>()); }
        let x_hat = (vec4<f32>(x[at]) - mean) * inverse;
        d_x[at] = vec4<scalar>(scale * (g - fma(x_hat, mean_dot, mean_g)));
        if ACCUMULATE { g += vec4<f32>(d_other[at]); }
        d_other[at] = vec4<scalar>(g);
    }
}
