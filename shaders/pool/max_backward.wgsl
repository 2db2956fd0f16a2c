// d_x[h,w] = sum of d_y over the windows whose winner is (h,w). It gathers instead of scattering: no atomics, one fixed order.
struct Sizes { n_c4: u32, w: u32, p: u32, q: u32, kernel: u32, stride: u32, pad: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> d_y: array<vec4<scalar>>;       // [p][q][n][c4]
@group(0) @binding(2) var<storage, read> winner: array<vec4<u32>>;       // [p][q][n][c4]
@group(0) @binding(3) var<storage, read_write> d_x: array<vec4<scalar>>; // [h][w][n][c4]

// The first window that covers coordinate h, and one past the last.
fn windows(h: u32, outputs: u32) -> vec2<u32> {
    let at = h + sizes.pad;
    let first = select(0u, (at - sizes.kernel) / sizes.stride + 1u, at >= sizes.kernel);
    return vec2<u32>(first, min(at / sizes.stride + 1u, outputs));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group.x * 64u + lane;
    if i >= sizes.n_c4 { return; }
    let pixel = group.y;
    let rows = windows(pixel / sizes.w, sizes.p);
    let columns = windows(pixel % sizes.w, sizes.q);
    var sum = vec4<f32>();
    for (var p = rows.x; p < rows.y; p++) {
        for (var q = columns.x; q < columns.y; q++) {
            let at = (p * sizes.q + q) * sizes.n_c4 + i;
            sum += select(vec4<f32>(), vec4<f32>(d_y[at]), winner[at] == vec4<u32>(pixel));
        }
    }
    let at = pixel * sizes.n_c4 + i;
    if ACCUMULATE { sum += vec4<f32>(d_x[at]); }
    d_x[at] = vec4<scalar>(sum);
}
