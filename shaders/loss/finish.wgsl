// Adds the batch's losses and hits to the report, in a fixed order. One workgroup.
#import reduce
#import report

struct Sizes { n: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> rows: array<vec4<f32>>; // [n] (loss, hit, ignored, among the five likeliest)
@group(0) @binding(2) var<storage, read_write> report: Report;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = vec4<f32>();
    for (var n = lane; n < sizes.n; n += LANES) { sum += rows[n]; }
    sum = reduce_sum(lane, sum);
    if lane == 0u {
        report.loss += sum.x;
        report.hits += u32(sum.y);
        report.targets += sizes.n - u32(sum.z);
        report.top += u32(sum.w);
    }
}
