// Counter-based generator: four words in, four words out, no state. pcg4d of Jarzynski and Olano, "Hash Functions for GPU
// Rendering", JCGT 9(3), 2020.
fn random4(counter: vec4<u32>) -> vec4<u32> {
    var v = counter * 1664525u + 1013904223u;
    v.x += v.y * v.w; v.y += v.z * v.x; v.z += v.x * v.y; v.w += v.y * v.z;
    v ^= v >> vec4<u32>(16u);
    v.x += v.y * v.w; v.y += v.z * v.x; v.z += v.x * v.y; v.w += v.y * v.z;
    return v;
}

// [0, 1) in steps of 2^-24
fn unit(word: u32) -> f32 { return f32(word >> 8u) * (1.0 / 16777216.0); }
