// Follows a rule's `measure`: adds up the sums of its blocks, per tensor or OVER_ALL, writes the gradient's norm to the report,
// and guards the update. With REPORTED, the norm was clipped before, and norm and guard are in the report already. One
// workgroup.
#import reduce
#import report
#import blocks
#import finite

struct Sizes { segments: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> segments: array<Segment>;
@group(0) @binding(2) var<storage, read> sums: array<vec4<f32>>;         // [block] (what the rule measures, sum g*g)
@group(0) @binding(3) var<storage, read_write> totals: array<vec4<f32>>; // [segment] the same, summed over its tensor or over all
@group(0) @binding(4) var<storage, read_write> report: Report;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
    var mine = vec4<f32>();
    for (var i = lane; i < sizes.segments; i += LANES) {
        var sum = vec4<f32>();
        for (var b = 0u; b < segments[i].blocks; b++) { sum += sums[segments[i].first_block + b]; }
        totals[i] = sum;
        mine += sum;
    }
    let total = reduce_sum(lane, mine);
    if OVER_ALL {
        for (var i = lane; i < sizes.segments; i += LANES) { totals[i] = total; }
    }
    if lane == 0u && !REPORTED {
        report.grad_norm = sqrt(total.w);
        report.bounded_norm = report.grad_norm;
        report.skip = select(1u, 0u, finite(total.w) && finite(report.loss));
        report.skipped += report.skip;
    }
}
