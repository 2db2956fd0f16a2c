// y = activation((x - mean) / sqrt(var + eps) * gamma + beta) (Ioffe, Szegedy 2015, algorithm 1).
#import rows
#import activation

struct Sizes { rows: u32, c4: u32, chunk_rows: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;       // [rows][c4]
@group(0) @binding(2) var<storage, read> saved: array<vec4<f32>>;      // [mean, 1/sqrt(var + eps)][c4]
@group(0) @binding(3) var<storage, read> gamma: array<vec4<f32>>;      // [c4]
@group(0) @binding(4) var<storage, read> beta: array<vec4<f32>>;       // [c4]
@group(0) @binding(5) var<storage, read_write> y: array<vec4<scalar>>; // [rows][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let part = part_of(group, groups, lane);
    let mean = saved[part.c4];
    let scale = saved[sizes.c4 + part.c4] * gamma[part.c4];
    let shift = beta[part.c4];
    for (var row = part.first; row < part.last; row++) {
        let at = row * sizes.c4 + part.c4;
        y[at] = vec4<scalar>(activate(fma(vec4<f32>(x[at]) - mean, scale, shift)));
    }
}
