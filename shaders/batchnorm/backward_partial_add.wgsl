// Per chunk of rows and channel: the sums of g and of g * x_hat, with x_hat = (x - mean) / sqrt(var + eps) and g = d_y (where y
// > 0 with RELU). This is for batch norms with a summand, whose y is kept anyway.
#import rows

struct Sizes { rows: u32, c4: u32, chunk_rows: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<vec4<scalar>>;         // [rows][c4]
@group(0) @binding(2) var<storage, read> y: array<vec4<scalar>>;           // [rows][c4]; only read with RELU
@group(0) @binding(3) var<storage, read> x: array<vec4<scalar>>;           // [rows][c4]
@group(0) @binding(4) var<storage, read> saved: array<vec4<f32>>;          // [mean, 1/sqrt(var + eps)][c4]
@group(0) @binding(5) var<storage, read_write> partial: array<vec4<f32>>;  // [chunk][sum g, sum g*x_hat][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let part = part_of(group, groups, lane);
    if part.first >= part.last { return; }
    let mean = saved[part.c4];
    let inverse = saved[sizes.c4 + part.c4];
    var sum = vec4<f32>();
    var dot = vec4<f32>();
    for (var row = part.first; row < part.last; row++) {
        let at = row * sizes.c4 + part.c4;
        var g = vec4<f32>(d_y[at]);
        if RELU { g = select(vec4<f32>(), g, vec4<f32>(y[at]) > vec4<f32>()); }
        sum += g;
        dot = fma(g, (vec4<f32>(x[at]) - mean) * inverse, dot);
    }
    let at = part.chunk * 2u * sizes.c4 + part.c4;
    partial[at] = sum;
    partial[at + sizes.c4] = dot;
}
