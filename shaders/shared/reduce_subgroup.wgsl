// Sum over a workgroup that is exactly one subgroup, without memory or barrier, for devices where barriers are expensive.
fn reduce_sum(lane: u32, value: vec4<f32>) -> vec4<f32> { return subgroupAdd(value); }
