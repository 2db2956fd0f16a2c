// VRAdam, 2 of 3. The rate, which falls as the velocity grows, and the guard; with REPORTED, where the norm was bounded before,
// guard and norm are in the report. One workgroup.
//
//   eta = lr / (1 + min(beta3 * ||m||^2, alpha1))           the norm over all tensors; OF_GRAD: ||g||^2
#import reduce
#import report
#import step
#import finite

struct Sizes { blocks: u32, beta3: f32, alpha1: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> sums: array<vec4<f32>>; // [block] (sum g*g, sum m*m, 0, 0)
@group(0) @binding(3) var<storage, read_write> rate: array<f32>; // eta
@group(0) @binding(4) var<storage, read_write> report: Report;

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
    var mine = vec4<f32>();
    for (var i = lane; i < sizes.blocks; i += LANES) { mine += sums[i]; }
    let total = reduce_sum(lane, mine);
    if lane == 0u {
        rate[0] = step.lr / (1.0 + min(sizes.beta3 * select(total.y, total.x, OF_GRAD), sizes.alpha1));
        if !REPORTED {
            report.grad_norm = sqrt(total.x);
            report.skip = select(1u, 0u, finite(total.x) && finite(report.loss));
            report.skipped += report.skip;
        }
    }
}
