// Computes the factor that clips the gradient's norm, and does what norm/finish does: it writes the norm before clipping to the
// report, also the norm after clipping, and guards the update. One workgroup.
//
//   LIMITED: factor = min(1, limit / (norm + 1e-6))       torch.nn.utils.clip_grad_norm_; Pascanu, Mikolov, Bengio 2013
//   OWN:     factor = own / norm if factor * norm > own   a rule's own limit (AMVT), after the other
#import reduce
#import report
#import finite

struct Sizes { blocks: u32, limit: f32, own: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> sums: array<vec4<f32>>;         // [block] (sum g*g, 0, 0, 0)
@group(0) @binding(2) var<storage, read_write> factor: array<vec4<f32>>; // [1] (factor, 0, 0, 0); 1 where the update is skipped
@group(0) @binding(3) var<storage, read_write> report: Report;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < sizes.blocks; i += LANES) { sum += sums[i].x; }
    let total = reduce_sum(lane, vec4<f32>(sum, 0.0, 0.0, 0.0)).x;
    if lane == 0u {
        let norm = sqrt(total);
        report.grad_norm = norm;
        report.skip = select(1u, 0u, finite(total) && finite(report.loss));
        report.skipped += report.skip;
        var bound = 1.0;
        if report.skip == 0u {
            if LIMITED && norm + 1e-6 > sizes.limit { bound = sizes.limit / (norm + 1e-6); }
            if OWN && bound * norm > sizes.own { bound = sizes.own / norm; }
            if bound < 1.0 { report.clipped += 1u; }
        }
        report.bounded_norm = bound * norm;
        factor[0] = vec4<f32>(bound, 0.0, 0.0, 0.0);
    }
}
