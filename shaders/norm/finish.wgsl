// Writes the gradient's norm to the report, and guards the update: if loss or gradient is not finite, it is skipped, counted and
// reported. One workgroup.
#import reduce
#import report
#import finite

struct Sizes { blocks: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> sums: array<vec4<f32>>; // [block] (sum g*g, 0, 0, 0)
@group(0) @binding(2) var<storage, read_write> report: Report;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < sizes.blocks; i += LANES) { sum += sums[i].x; }
    let total = reduce_sum(lane, vec4<f32>(sum, 0.0, 0.0, 0.0)).x;
    if lane == 0u {
        report.grad_norm = sqrt(total);
        report.bounded_norm = report.grad_norm;
        report.skip = select(1u, 0u, finite(total) && finite(report.loss));
        report.skipped += report.skip;
    }
}
