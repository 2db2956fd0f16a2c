// Sum over the LANES invocations of a workgroup, by a tree in workgroup memory: always in the same order, on any device.
// Every invocation must call it and receives the sum.
var<workgroup> reduce_memory: array<vec4<f32>, LANES>;

fn reduce_sum(lane: u32, value: vec4<f32>) -> vec4<f32> {
    workgroupBarrier(); // the previous sum has been read
    reduce_memory[lane] = value;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if lane < half { reduce_memory[lane] += reduce_memory[lane + half]; }
    }
    workgroupBarrier();
    return reduce_memory[0];
}
