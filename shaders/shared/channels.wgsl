// The vector c4 of a row of sizes.c channels: what only fills it up to a whole vector becomes zero.
fn within(c4: u32, value: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(), value, 4u * c4 + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(sizes.c));
}
