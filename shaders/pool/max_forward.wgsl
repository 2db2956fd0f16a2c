// y[p,q] = max over the window of x; the first maximum in row-major order wins, as in PyTorch. Padding never wins.
// One row of workgroups (y) per output pixel, so the window is uniform; an invocation takes four channels of an image.
struct Sizes { n_c4: u32, h: u32, w: u32, q: u32, kernel: u32, stride: u32, pad: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;         // [h][w][n][c4]
@group(0) @binding(2) var<storage, read_write> y: array<vec4<scalar>>;   // [p][q][n][c4]
@group(0) @binding(3) var<storage, read_write> winner: array<vec4<u32>>; // [p][q][n][c4], index of the input pixel

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = group.x * 64u + lane;
    if i >= sizes.n_c4 { return; }
    let h0 = i32(group.y / sizes.q * sizes.stride) - i32(sizes.pad);
    let w0 = i32(group.y % sizes.q * sizes.stride) - i32(sizes.pad);
    var best = vec4<f32>();
    var at = vec4<u32>(0xffffffffu);
    for (var h = max(h0, 0); h < min(h0 + i32(sizes.kernel), i32(sizes.h)); h++) {
        for (var w = max(w0, 0); w < min(w0 + i32(sizes.kernel), i32(sizes.w)); w++) {
            let pixel = u32(h) * sizes.w + u32(w);
            let value = vec4<f32>(x[pixel * sizes.n_c4 + i]);
            // Found by its bits, since a driver may assume that there are no NaNs. A NaN wins, as in PyTorch.
            let nan = (bitcast<vec4<u32>>(value) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
            let better = (value > best) | nan | (at == vec4<u32>(0xffffffffu));
            best = select(best, value, better);
            at = select(at, vec4<u32>(pixel), better);
        }
    }
    y[group.y * sizes.n_c4 + i] = vec4<scalar>(best);
    winner[group.y * sizes.n_c4 + i] = at;
}
