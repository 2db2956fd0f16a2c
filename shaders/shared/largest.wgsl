// The largest logit of a row and its class, over the LANES invocations of a workgroup. Every invocation must call it.
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
