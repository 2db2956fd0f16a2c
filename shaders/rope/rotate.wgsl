// y = x with the channels i and i + d/2 of each query and key rotated by an angle of their place, cos and sin of which are in the
// table; values pass. Su, Lu, Pan and others 2021, arXiv 2104.09864, with halves instead of neighbours as pairs, as in GPT-NeoX and
// LLaMA. The gradient is rotated BACK. An invocation takes four pairs.
#import grid

struct Sizes { len8: u32, n: u32, heads: u32, d8: u32 } // d8: an eighth of a head's channels

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> x: array<vec4<scalar>>;       // [place][n][3][head][2][d8]
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>;      // [place][2][d8]: cos, sin
@group(0) @binding(3) var<storage, read_write> y: array<vec4<scalar>>; // [place][n][3][head][2][d8]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let i = flat_group(group, groups) * 64u + lane;
    if i >= sizes.len8 { return; }
    let pair = i % sizes.d8;
    let row = i / sizes.d8;
    let first = row * 2u * sizes.d8 + pair;
    let second = first + sizes.d8;
    var a = vec4<f32>(x[first]);
    var b = vec4<f32>(x[second]);
    if row / sizes.heads % 3u < 2u {
        let at = row / (3u * sizes.heads * sizes.n) * 2u * sizes.d8 + pair;
        let cos = table[at];
        var sin = table[at + sizes.d8];
        if BACK { sin = -sin; }
        let turned = a * cos - b * sin;
        b = b * cos + a * sin;
        a = turned;
    }
    if ACCUMULATE {
        a += vec4<f32>(y[first]);
        b += vec4<f32>(y[second]);
    }
    y[first] = vec4<scalar>(a);
    y[second] = vec4<scalar>(b);
}
