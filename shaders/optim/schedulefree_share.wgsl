// Schedule-Free, before schedulefree.wgsl: the share c = w/W that this update's weight has in the sum of all so far. One
// invocation.
//
//   lr_max <- max(lr_max, lr*min(1, t/warmup));  w = t^r * lr_max^power;  W <- W + w        Defazio et al. 2024, Algorithm 1
//
// What is stored is q = W/w, as q <- 1 + q * (w of the last update)/w: with equal weights it counts updates, without rounding. c
// = 0 as long as every rate was 0.
#import report
#import update

struct Sizes { power: f32 }

struct Average { c: f32, q: f32, lr_max: f32, pad: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step; // rows: (min(1, t/warmup), ((t-1)/t)^r, .., ..)
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read_write> average: Average;

@compute @workgroup_size(1)
fn main() {
    if report.skip != 0u { return; }
    let row = scalars_of_update(report.skipped);
    let old = average.lr_max;
    let lr_max = max(old, step.lr * row.x);
    var of_rates = 1.0; // (old/lr_max)^power
    if sizes.power != 0.0 && old < lr_max { of_rates = select(pow(old / lr_max, sizes.power), 0.0, old == 0.0); }
    let q = select(1.0 + average.q * row.y * of_rates, 0.0, sizes.power != 0.0 && lr_max == 0.0);
    average = Average(select(1.0 / q, 0.0, q == 0.0), q, lr_max, 0.0);
}
