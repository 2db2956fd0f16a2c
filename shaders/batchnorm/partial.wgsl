// Per chunk of rows and channel: the mean, and the sum of squared differences from it (M2).
//
// Sums run over x - x_first, which keeps digits if the mean is large compared with the deviation (Chan, Golub, LeVeque 1983).
#import rows

struct Sizes { rows: u32, c4: u32, chunk_rows: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;           // [rows][c4]
@group(0) @binding(2) var<storage, read_write> partial: array<vec4<f32>>;  // [chunk][mean, M2][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let part = part_of(group, groups, lane);
    if part.first >= part.last { return; }
    let shift = vec4<f32>(x[part.first * sizes.c4 + part.c4]);
    var sum = vec4<f32>();
    var squares = vec4<f32>();
    for (var row = part.first; row < part.last; row++) {
        let d = vec4<f32>(x[row * sizes.c4 + part.c4]) - shift;
        sum += d;
        squares = fma(d, d, squares);
    }
    let count = f32(part.last - part.first);
    let at = part.chunk * 2u * sizes.c4 + part.c4;
    partial[at] = shift + sum / count;
    let m2 = squares - sum * sum / count;
    partial[at + sizes.c4] = select(m2, vec4<f32>(), m2 < vec4<f32>()); // a NaN stays a NaN
}
