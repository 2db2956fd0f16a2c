// What the network sees of a pixel from 0 to 1 at (row, column) of result n: (value - mean) / std, and zero inside of the
// rectangle that ERASE, a row of the draws, has: top, left, height, width.
fn normalized(n: u32, value: vec3<f32>, place: vec2<i32>) -> vec4<f32> {
    let mean = vec3<f32>(sizes.mean_r, sizes.mean_g, sizes.mean_b);
    let scale = vec3<f32>(sizes.scale_r, sizes.scale_g, sizes.scale_b);
    var y = vec4<f32>((value - mean) * scale, 0.0);
    if ERASE > 0u {
        let erased = vec4<i32>(draws[ERASE * sizes.n + n]);
        if all(place >= erased.xy) && all(place < erased.xy + erased.zw) { y = vec4<f32>(); }
    }
    if CHANNELS == 1u { y = vec4<f32>(y.x, 0.0, 0.0, 0.0); }
    return y;
}
