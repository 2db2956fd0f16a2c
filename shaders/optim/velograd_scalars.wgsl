// VeloGrad, 2 of 5. Computes from the blocks' sums the scalars of each tensor's update, and guards the update. With REPORTED,
// the norm was clipped before, and norm and guard are in the report already. One workgroup.
//
//   l    <- beta2*l + (1-beta2)*loss                          loss average, no bias correction
//   n    =  ||g||,  sim = <g,g_prev> / (n*||g_prev|| + eps)   0 at t = 1; per tensor, or GLOBAL: over all
//   s    =  1 + 0.5*(1-n) if n <= 1 else 1/n                  gradient scale
//   a    =  lr * cap(l) * cap(n),  cap(x) = 1/max(1, x+eps)   rate
//   rate =  a * (1 + 0.1*sim)
#import reduce
#import report
#import update
#import blocks
#import finite

struct Sizes { segments: u32, one_minus_beta2: f32, eps: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (1/(1-beta1^t), 1/(1-beta2^t), t mod k == 0, t == 1)
@group(0) @binding(2) var<storage, read> segments: array<Segment>;
@group(0) @binding(3) var<storage, read> sums: array<vec4<f32>>;           // [block] (sum g*g, sum g*g_prev, 0, 0)
@group(0) @binding(4) var<storage, read_write> memory: array<f32>;         // l, then ||g_prev||^2 of each tensor
@group(0) @binding(5) var<storage, read_write> table: array<vec4<f32>>;    // [segment] (s, a, rate, 1 or 0: skipped), (row of t)
@group(0) @binding(6) var<storage, read_write> report: Report;

fn cap(x: f32) -> f32 { return 1.0 / max(1.0, x + sizes.eps); }

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
    var mine = vec4<f32>(); // sums over this invocation's segments of g*g, g*g_prev, g_prev*g_prev
    for (var i = lane; i < sizes.segments; i += LANES) {
        var sum = vec4<f32>();
        for (var b = 0u; b < segments[i].blocks; b++) { sum += sums[segments[i].first_block + b]; }
        sum.z = memory[1u + i];
        table[2u * i] = sum;
        mine += sum;
    }
    let total = reduce_sum(lane, mine);
    let loss = report.loss * step.loss_mean;
    var skip = !(finite(total.x) && finite(loss));
    if REPORTED { skip = report.skip != 0u; }
    let loss_average = memory[0] + sizes.one_minus_beta2 * (loss - memory[0]);
    let row = scalars_of_update(report.skipped);
    let first = row.w != 0.0;
    for (var i = lane; i < sizes.segments; i += LANES) {
        let own = table[2u * i];
        let sum = select(own, total, GLOBAL);
        let n = sqrt(sum.x);
        var similarity = 0.0;
        if !first { similarity = clamp(sum.y / (n * sqrt(sum.z) + sizes.eps), -1.0, 1.0); }
        var scale = 1.0;
        if USE_SELECT {
            if n <= 1.0 { scale = 1.0 + 0.5 * (1.0 - n); } else { scale = 1.0 / n; }
        }
        var a = step.lr;
        if USE_LOSS { a *= cap(loss_average); }
        if USE_NORM { a *= cap(n); }
        var rate = a;
        if USE_SIM { rate *= 1.0 + 0.1 * similarity; }
        table[2u * i] = vec4<f32>(scale, a, rate, select(1.0, 0.0, skip));
        table[2u * i + 1u] = row;
        if !skip { memory[1u + i] = own.x; }
    }
    // This comes last, after every invocation has read the old values above.
    workgroupBarrier();
    storageBarrier();
    if lane == 0u {
        if !skip { memory[0] = loss_average; }
        if !REPORTED {
            report.grad_norm = sqrt(total.x);
            report.bounded_norm = report.grad_norm;
            report.skip = select(0u, 1u, skip);
            report.skipped += report.skip;
        }
    }
}
