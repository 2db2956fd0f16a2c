// y[p][q][n][c] = the mean of x over rows from floor(p h / out) to below ceil((p + 1) h / out), and columns alike.
struct Sizes { n_c4: u32, h: u32, w: u32, out: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;       // [h][w][n][c4]
@group(0) @binding(2) var<storage, read_write> y: array<vec4<scalar>>; // [out][out][n][c4]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group.x * 64u + lane;
    if i >= sizes.n_c4 { return; }
    let at = vec2<u32>(group.y / sizes.out, group.y % sizes.out);
    let size = vec2<u32>(sizes.h, sizes.w);
    let begin = at * size / sizes.out;
    let end = ((at + 1u) * size + sizes.out - 1u) / sizes.out;
    var sum = vec4<f32>();
    for (var r = begin.x; r < end.x; r++) {
        for (var s = begin.y; s < end.y; s++) { sum += vec4<f32>(x[(r * sizes.w + s) * sizes.n_c4 + i]); }
    }
    let area = (end - begin).x * (end - begin).y;
    y[group.y * sizes.n_c4 + i] = vec4<scalar>(sum / f32(area));
}
