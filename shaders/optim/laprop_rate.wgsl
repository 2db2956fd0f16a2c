// LaProp as its authors' code has it, the average rate: q <- beta1*q + (1-beta1)*lr. One invocation, before laprop.wgsl.
#import report
#import step

struct Sizes { one_minus_beta1: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read_write> rate: array<f32>; // q

@compute @workgroup_size(1)
fn main() {
    if report.skip == 0u { rate[0] += sizes.one_minus_beta1 * (step.lr - rate[0]); }
}
