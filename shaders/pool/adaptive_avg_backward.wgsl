// d_x[r][s] = the sum over the windows that cover (r,s) of d_y / (elements of the window). It gathers, in a fixed order.
struct Sizes { n_c4: u32, h: u32, w: u32, out: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<vec4<scalar>>;       // [out][out][n][c4]
@group(0) @binding(2) var<storage, read_write> d_x: array<vec4<scalar>>; // [h][w][n][c4]

// Rows or columns of window p on a side of `size`.
fn length(p: u32, size: u32) -> u32 { return ((p + 1u) * size + sizes.out - 1u) / sizes.out - p * size / sizes.out; }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group.x * 64u + lane;
    if i >= sizes.n_c4 { return; }
    // Window p covers row r if p h / out < r + 1 and (p + 1) h / out > r.
    let at = vec2<u32>(group.z, group.y);
    let size = vec2<u32>(sizes.h, sizes.w);
    let first = at * sizes.out / size;
    let last = ((at + 1u) * sizes.out - 1u) / size;
    var sum = vec4<f32>();
    for (var p = first.x; p <= last.x; p++) {
        for (var q = first.y; q <= last.y; q++) {
            let area = length(p, sizes.h) * length(q, sizes.w);
            sum += vec4<f32>(d_y[(p * sizes.out + q) * sizes.n_c4 + i]) / f32(area);
        }
    }
    let to = (at.x * sizes.w + at.y) * sizes.n_c4 + i;
    if ACCUMULATE { sum += vec4<f32>(d_x[to]); }
    d_x[to] = vec4<scalar>(sum);
}
