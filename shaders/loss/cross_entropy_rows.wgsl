// loss/cross_entropy for many classes: a workgroup takes one row, which it reads three times: for the maximum, for the sum of
// exponentials, and for the gradient.
#import reduce
#import grid
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
@group(0) @binding(7) var<storage, read_write> confusion: array<atomic<u32>>; // [label][prediction], if there are few classes

var<workgroup> values: array<f32, LANES>;
var<workgroup> classes: array<u32, LANES>;

// The largest of the lanes' values, and its class: the first one, if several are equal.
fn reduce_largest(lane: u32, value: f32, class_of_value: u32) {
    values[lane] = value;
    classes[lane] = class_of_value;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            let other = values[lane + half];
            let class_of_other = classes[lane + half];
            if other > values[lane] || (other == values[lane] && class_of_other < classes[lane]) {
                values[lane] = other;
                classes[lane] = class_of_other;
            }
        }
    }
    workgroupBarrier();
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let n = flat_group(group, groups);
    if n >= sizes.n { return; }
    let stride = 4u * sizes.c4;
    let first = n * stride;
    let label = min(labels[n], sizes.classes - 1u);

    // A lane without a class of its own repeats the last one.
    var of_lane = min(lane, sizes.classes - 1u);
    var largest = f32(logits[first + of_lane]);
    for (var c = lane + LANES; c < sizes.classes; c += LANES) {
        let value = f32(logits[first + c]);
        if value > largest { largest = value; of_lane = c; }
    }
    reduce_largest(lane, largest, of_lane);
    largest = values[0];
    let prediction = classes[0];

    var sums = vec4<f32>(); // of exp(logit - largest), and of (logit - largest) for the smoothed part
    for (var c = lane; c < sizes.classes; c += LANES) {
        let z = f32(logits[first + c]) - largest;
        sums += vec4<f32>(exp(z), z, 0.0, 0.0);
    }
    sums = reduce_sum(lane, sums);
    let log_sum = log(sums.x);
    let factor = step.loss_scale * scale();
    for (var c = lane; c < stride; c += LANES) {
        var d = 0.0; // stays 0 in padded channels
        if c < sizes.classes {
            d = exp(f32(logits[first + c]) - largest - log_sum) - sizes.smoothing / f32(sizes.classes);
            if c == label { d -= 1.0 - sizes.smoothing; }
        }
        d_logits[first + c] = scalar(d * factor);
    }
    if lane == 0u {
        let of_label = f32(logits[first + label]) - largest;
        let loss = log_sum - (1.0 - sizes.smoothing) * of_label - sizes.smoothing * sums.y / f32(sizes.classes);
        rows[n] = vec4<f32>(loss, select(0.0, 1.0, prediction == label), 0.0, 0.0);
        if CONFUSION { atomicAdd(&confusion[label * sizes.classes + prediction], 1u); }
    }
}
