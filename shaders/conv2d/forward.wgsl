// y[p,q][n][k] = sum over taps (r,s) and channels c of x[p*stride+r-pad, q*stride+s-pad][n][c] * weight[k][r][s][c]
//
// One workgroup computes one output pixel (z), a tile of images (rows) and a tile of output channels (columns), with f32
// accumulators and the taps in the outermost loop. It is the cross-correlation of Goodfellow et al., Deep Learning, eq. 9.6;
// PyTorch's conv2d. If a sum is split into parts, each takes a share of the taps and channels, and y is [part][p][q][n][k4] in
// f32, for sum_parts.
#import forward
#import result

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<scalars>;            // [h][w][n][c4]
@group(0) @binding(2) var<storage, read> weight: array<floats>;        // [k][r][s][c4]
@group(0) @binding(3) var<storage, read_write> y: array<vec4<result>>; // [p][q][n][k4]

fn store(row: u32, col: u32, value: vec4<f32>) {
    if row < sizes.n && col < 4u * sizes.k4 {
        y[(output * sizes.n + row) * sizes.k4 + col / 4u] = vec4<result>(value);
    }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    gemm(group.x * gemm_rows(), group.y * gemm_cols(), lane, span_of(group.z));
}
