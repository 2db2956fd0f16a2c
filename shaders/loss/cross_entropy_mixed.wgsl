// loss/cross_entropy_rows for a batch that mixup has mixed: the loss is lambda times that of an image's own label and (1 - lambda)
// times that of the label of the image before it in the batch, which for the first is the last. That is the cross-entropy of the mixed
// one-hot targets, which are smoothed as others are. A hit is a prediction of the label that has the larger share, which also counts
// among the five likeliest; there is no confusion matrix.
#import reduce
#import grid
#import step
#import scaler
#import finite
#import largest

struct Sizes { n: u32, classes: u32, c4: u32, smoothing: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> logits: array<scalar>;         // [n][4*c4]
@group(0) @binding(3) var<storage, read> targets: array<u32>;           // [n]
@group(0) @binding(4) var<storage, read> mixing: array<f32>;            // lambda
@group(0) @binding(5) var<storage, read> scaler: Scaler;
@group(0) @binding(6) var<storage, read_write> d_logits: array<scalar>; // [n][4*c4]
@group(0) @binding(7) var<storage, read_write> rows: array<vec4<f32>>;  // [n] (loss, hit, 0, among the five likeliest)

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let row = flat_group(group, groups);
    if row >= sizes.n { return; }
    let stride = 4u * sizes.c4;
    let first = row * stride;
    let own = min(targets[row], sizes.classes - 1u);
    let other = min(targets[select(row - 1u, sizes.n - 1u, row == 0u)], sizes.classes - 1u);
    let lambda = mixing[0];

    let found = largest_of_row(lane, first);
    let largest = found.value;
    let prediction = found.class_of_value;

    // Of exp(logit - largest), of (logit - largest) for the smoothed part, and of 1 where the logit is larger than that label's.
    var sums = vec4<f32>();
    let dominant = select(other, own, lambda >= 0.5);
    let of_dominant = f32(logits[first + dominant]);
    for (var c = lane; c < sizes.classes; c += LANES) {
        let value = f32(logits[first + c]);
        let z = value - largest;
        sums += vec4<f32>(exp(z), z, select(0.0, 1.0, value > of_dominant), 0.0);
    }
    sums = reduce_sum(lane, sums);
    let log_sum = log(sums.x);
    let factor = step.loss_scale * scale();
    for (var c = lane; c < stride; c += LANES) {
        var d = 0.0; // stays 0 in padded channels
        if c < sizes.classes {
            d = exp(f32(logits[first + c]) - largest - log_sum) - sizes.smoothing / f32(sizes.classes);
            if c == own { d -= (1.0 - sizes.smoothing) * lambda; }
            if c == other { d -= (1.0 - sizes.smoothing) * (1.0 - lambda); }
        }
        d_logits[first + c] = scalar(d * factor);
    }
    if lane == 0u {
        let of_labels = lambda * (f32(logits[first + own]) - largest) + (1.0 - lambda) * (f32(logits[first + other]) - largest);
        let loss = log_sum - (1.0 - sizes.smoothing) * of_labels - sizes.smoothing * sums.y / f32(sizes.classes);
        let among_five = sums.z < 5.0 && finite(loss);
        rows[row] = vec4<f32>(loss, select(0.0, 1.0, prediction == dominant), 0.0, select(0.0, 1.0, among_five));
    }
}
