// loss = -log softmax(logits)[label]; d_logits = (softmax - onehot) * loss_scale * scale; also the hits and the confusion
// matrix.
//
// One invocation takes one image. The maximum is subtracted first, so no logit overflows (Goodfellow et al. 2016, 4.1).
// SMOOTHED targets are (1 - smoothing) * onehot + smoothing / classes, as in PyTorch's label_smoothing.
#import step
#import scaler

struct Sizes { n: u32, classes: u32, c4: u32, smoothing: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> logits: array<scalar>;              // [n][4*c4]
@group(0) @binding(3) var<storage, read> labels: array<u32>;                 // [n]
@group(0) @binding(4) var<storage, read> scaler: Scaler;
@group(0) @binding(5) var<storage, read_write> d_logits: array<scalar>;      // [n][4*c4]
@group(0) @binding(6) var<storage, read_write> rows: array<vec4<f32>>;       // [n] (loss, hit, 0, 0)
@group(0) @binding(7) var<storage, read_write> confusion: array<atomic<u32>>; // [label][prediction]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let n = id.x;
    if n >= sizes.n { return; }
    let stride = 4u * sizes.c4;
    let label = min(labels[n], sizes.classes - 1u);
    var largest = f32(logits[n * stride]);
    var prediction = 0u;
    for (var c = 1u; c < sizes.classes; c++) {
        let value = f32(logits[n * stride + c]);
        if value > largest { largest = value; prediction = c; }
    }
    var sum = 0.0;
    var below = 0.0; // sum over classes of (logit - largest), for the smoothed part
    for (var c = 0u; c < sizes.classes; c++) {
        let z = f32(logits[n * stride + c]) - largest;
        sum += exp(z);
        below += z;
    }
    let log_sum = log(sum);
    let of_label = f32(logits[n * stride + label]) - largest;
    let loss = log_sum - (1.0 - sizes.smoothing) * of_label - sizes.smoothing * below / f32(sizes.classes);
    let factor = step.loss_scale * scale();
    for (var c = 0u; c < stride; c++) {
        var d = 0.0; // stays 0 in padded channels
        if c < sizes.classes {
            d = exp(f32(logits[n * stride + c]) - largest - log_sum) - sizes.smoothing / f32(sizes.classes);
            if c == label { d -= 1.0 - sizes.smoothing; }
        }
        d_logits[n * stride + c] = scalar(d * factor);
    }
    rows[n] = vec4<f32>(loss, select(0.0, 1.0, prediction == label), 0.0, 0.0);
    atomicAdd(&confusion[label * sizes.classes + prediction], 1u);
}
