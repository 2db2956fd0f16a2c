// Lookahead around any rule, as its last call: every k-th update the slow weights move towards the fast ones, which restart
// there.
//
//   slow  <- slow + alpha*(p - slow);  p <- slow
//
// Zhang, Lucas, Hinton, Ba 2019, Algorithm 1; the rule's own state does not change.
#import grid
#import report
#import update
#import average

struct Sizes { len4: u32, k: u32, alpha: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> report: Report;
@group(0) @binding(3) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> slow: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    if report.skip != 0u || number_of_update(report.skipped) % sizes.k != 0u { return; }
    let base = flat_group(group, groups) * 256u + lane;
    for (var i = base; i < min(base + 256u, sizes.len4); i += 64u) {
        let s = average(slow[i], sizes.alpha, params[i]);
        slow[i] = s;
        params[i] = s;
    }
}
