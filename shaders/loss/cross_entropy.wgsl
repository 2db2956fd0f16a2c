// loss = -log softmax(logits)[target]; d_logits = (softmax - onehot) * loss_scale * scale; also the hits, those among
// the five likeliest classes, and the confusion matrix.
//
// One invocation takes one target: an image has one, a block of tokens one for each place. The maximum is subtracted first, so
// no logit overflows (Goodfellow et al. 2016, 4.1).
// SMOOTHED targets are (1 - smoothing) * onehot + smoothing / classes, as in PyTorch's label_smoothing.
#import grid
#import step
#import scaler
#import ignored
#import finite

struct Sizes { n: u32, places: u32, classes: u32, c4: u32, smoothing: f32 } // n: samples, with a target for each place

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> logits: array<scalar>;              // [places][n][4*c4]
@group(0) @binding(3) var<storage, read> targets: array<u32>;                // [n][places]
@group(0) @binding(4) var<storage, read> scaler: Scaler;
@group(0) @binding(5) var<storage, read_write> d_logits: array<scalar>;      // [places][n][4*c4]
@group(0) @binding(6) var<storage, read_write> rows: array<vec4<f32>>;       // [places][n] (loss, hit, ignored, among the five likeliest)
@group(0) @binding(7) var<storage, read_write> confusion: array<atomic<u32>>; // [label][prediction], if there is one place

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = flat_group(group, groups) * 64u + lane;
    if row >= sizes.n * sizes.places { return; }
    let stride = 4u * sizes.c4;
    let given = targets[row % sizes.n * sizes.places + row / sizes.n];
    let counted = given != IGNORED;
    let label = min(given, sizes.classes - 1u);
    var largest = f32(logits[row * stride]);
    var prediction = 0u;
    for (var c = 1u; c < sizes.classes; c++) {
        let value = f32(logits[row * stride + c]);
        if value > largest { largest = value; prediction = c; }
    }
    var sum = 0.0;
    var below = 0.0; // sum over classes of (logit - largest), for the smoothed part
    let own = f32(logits[row * stride + label]);
    var likelier = 0u; // classes with a larger logit than the label's
    for (var c = 0u; c < sizes.classes; c++) {
        let value = f32(logits[row * stride + c]);
        let z = value - largest;
        sum += exp(z);
        below += z;
        if value > own { likelier++; }
    }
    let log_sum = log(sum);
    let of_label = own - largest;
    let loss = log_sum - (1.0 - sizes.smoothing) * of_label - sizes.smoothing * below / f32(sizes.classes);
    let factor = step.loss_scale * scale();
    for (var c = 0u; c < stride; c++) {
        var d = 0.0; // stays 0 in padded channels
        if c < sizes.classes && counted {
            d = exp(f32(logits[row * stride + c]) - largest - log_sum) - sizes.smoothing / f32(sizes.classes);
            if c == label { d -= 1.0 - sizes.smoothing; }
        }
        d_logits[row * stride + c] = scalar(d * factor);
    }
    if !counted {
        rows[row] = vec4<f32>(0.0, 0.0, 1.0, 0.0);
        return;
    }
    let among_five = likelier < 5u && finite(loss);
    rows[row] = vec4<f32>(loss, select(0.0, 1.0, prediction == label), 0.0, select(0.0, 1.0, among_five));
    if sizes.places == 1u { atomicAdd(&confusion[label * sizes.classes + prediction], 1u); }
}
