// Sum over a workgroup that is exactly one subgroup: no memory, no barrier. For devices where barriers are dear.
fn reduce_sum(lane: u32, value: vec4<f32>) -> vec4<f32> { return subgroupAdd(value); }
