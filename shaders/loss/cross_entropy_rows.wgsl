// loss/cross_entropy for many classes: a workgroup takes one row, which it reads three times: for the maximum, for the sum of
// exponentials, and for the gradient.
#import reduce
#import grid
#import step
#import scaler
#import ignored
#import finite
#import largest

struct Sizes { n: u32, places: u32, classes: u32, c4: u32, smoothing: f32 } // n: samples, with a target for each place

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> logits: array<scalar>;              // [places][n][4*c4]
@group(0) @binding(3) var<storage, read> targets: array<u32>;                // [n][places]
@group(0) @binding(4) var<storage, read> scaler: Scaler;
@group(0) @binding(5) var<storage, read_write> d_logits: array<scalar>;      // [places][n][4*c4]
@group(0) @binding(6) var<storage, read_write> rows: array<vec4<f32>>;       // [places][n] (loss, hit, ignored, among the five likeliest)
@group(0) @binding(7) var<storage, read_write> confusion: array<atomic<u32>>; // [label][prediction], if there are few classes and one place

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = flat_group(group, groups);
    if row >= sizes.n * sizes.places { return; }
    let stride = 4u * sizes.c4;
    let first = row * stride;
    let given = targets[row % sizes.n * sizes.places + row / sizes.n];
    let counted = given != IGNORED;
    let label = min(given, sizes.classes - 1u);

    let found = largest_of_row(lane, first);
    let largest = found.value;
    let prediction = found.class_of_value;

    // Of exp(logit - largest), of (logit - largest) for the smoothed part, and of 1 where the logit is larger than the label's: classes
    // are few enough for f32 to count them.
    var sums = vec4<f32>();
    let own = f32(logits[first + label]);
    for (var c = lane; c < sizes.classes; c += LANES) {
        let value = f32(logits[first + c]);
        let z = value - largest;
        sums += vec4<f32>(exp(z), z, select(0.0, 1.0, value > own), 0.0);
    }
    sums = reduce_sum(lane, sums);
    let log_sum = log(sums.x);
    let factor = step.loss_scale * scale();
    for (var c = lane; c < stride; c += LANES) {
        var d = 0.0; // stays 0 in padded channels
        if c < sizes.classes && counted {
            d = exp(f32(logits[first + c]) - largest - log_sum) - sizes.smoothing / f32(sizes.classes);
            if c == label { d -= 1.0 - sizes.smoothing; }
        }
        d_logits[first + c] = scalar(d * factor);
    }
    if lane == 0u {
        let of_label = own - largest;
        let loss = log_sum - (1.0 - sizes.smoothing) * of_label - sizes.smoothing * sums.y / f32(sizes.classes);
        if !counted {
            rows[row] = vec4<f32>(0.0, 0.0, 1.0, 0.0);
            return;
        }
        let among_five = sums.z < 5.0 && finite(loss);
        rows[row] = vec4<f32>(loss, select(0.0, 1.0, prediction == label), 0.0, select(0.0, 1.0, among_five));
        if CONFUSION { atomicAdd(&confusion[label * sizes.classes + prediction], 1u); }
    }
}
