// Merges the chunks into the batch's mean and 1/sqrt(var + eps) per channel, and moves the running statistics:
//   running <- (1 - momentum) * running + momentum * batch,   the variance with n-1 (Ioffe, Szegedy 2015; PyTorch).
// If statistics are collected anew (step.averaged), momentum is 1/n for the n-th batch, which gives the mean over the batches.
// A batch that is not finite, or of a single value, leaves the running statistics as they are. One workgroup takes four
// channels.
#import reduce
#import grid
#import step
#import averaged_in

struct Sizes { rows: u32, c4: u32, chunk_rows: u32, eps: f32, momentum: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> partial: array<vec4<f32>>;             // [chunk][mean, M2][c4]
@group(0) @binding(3) var<storage, read_write> saved: array<vec4<f32>>;         // [mean, 1/sqrt(var + eps)][c4]
@group(0) @binding(4) var<storage, read_write> running_mean: array<vec4<f32>>;  // [c4]
@group(0) @binding(5) var<storage, read_write> running_var: array<vec4<f32>>;   // [c4]

fn finite(v: vec4<f32>) -> bool {
    return all((bitcast<vec4<u32>>(v) & vec4<u32>(0x7f800000u)) != vec4<u32>(0x7f800000u));
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let c4 = flat_group(group, groups);
    if c4 >= sizes.c4 { return; }
    let chunks = (sizes.rows + sizes.chunk_rows - 1u) / sizes.chunk_rows;
    let total = f32(sizes.rows);
    var weighted = vec4<f32>();
    for (var chunk = lane; chunk < chunks; chunk += LANES) {
        let count = f32(min(sizes.chunk_rows, sizes.rows - chunk * sizes.chunk_rows));
        weighted = fma(vec4<f32>(count / total), partial[chunk * 2u * sizes.c4 + c4], weighted);
    }
    let mean = reduce_sum(lane, weighted);
    var squares = vec4<f32>();
    for (var chunk = lane; chunk < chunks; chunk += LANES) {
        let count = f32(min(sizes.chunk_rows, sizes.rows - chunk * sizes.chunk_rows));
        let d = partial[chunk * 2u * sizes.c4 + c4] - mean;
        squares += partial[(chunk * 2u + 1u) * sizes.c4 + c4] + count * d * d;
    }
    let m2 = reduce_sum(lane, squares);
    if lane == 0u {
        saved[c4] = mean;
        saved[sizes.c4 + c4] = 1.0 / sqrt(m2 / total + sizes.eps);
        if finite(mean) && finite(m2) && sizes.rows > 1u {
            let momentum = select(sizes.momentum, 1.0 / f32(max(step.averaged, 1u)), step.averaged > 0u);
            running_mean[c4] = averaged_in(running_mean[c4], momentum, mean);
            running_var[c4] = averaged_in(running_var[c4], momentum, m2 / (total - 1.0));
        }
    }
}
