// The largest logit of a row and its class, over the LANES invocations of a workgroup; the kernel has the logits, and how many classes
// there are in `sizes`.
struct Largest { value: f32, class_of_value: u32 }

var<workgroup> largest_values: array<f32, LANES>;
var<workgroup> largest_classes: array<u32, LANES>;

// Afterwards entry 0 has the largest of the lanes' values, and its class: the first one, if several are equal.
fn reduce_largest(lane: u32, value: f32, class_of_value: u32) {
    largest_values[lane] = value;
    largest_classes[lane] = class_of_value;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half {
            let other = largest_values[lane + half];
            let class_of_other = largest_classes[lane + half];
            if other > largest_values[lane] || (other == largest_values[lane] && class_of_other < largest_classes[lane]) {
                largest_values[lane] = other;
                largest_classes[lane] = class_of_other;
            }
        }
    }
    workgroupBarrier();
}

// The largest of the logits from `first` on, and its class: the first one, if several are equal. Every invocation must call it.
fn largest_of_row(lane: u32, first: u32) -> Largest {
    // A lane without a class of its own repeats the last one.
    var of_lane = min(lane, sizes.classes - 1u);
    var value = f32(logits[first + of_lane]);
    for (var c = lane + LANES; c < sizes.classes; c += LANES) {
        let other = f32(logits[first + c]);
        if other > value { value = other; of_lane = c; }
    }
    reduce_largest(lane, value, of_lane);
    return Largest(largest_values[0], largest_classes[0]);
}
