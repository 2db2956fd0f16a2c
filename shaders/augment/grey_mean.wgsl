// The mean of the grey image that a jitter's contrast blends with, of what comes before the contrast in the order that was drawn
// (shared/jittered); it is kept with the draws. A workgroup takes an image, whose pixels it computes from the bytes, as they are
// stored nowhere.
#import moved
#import jittered
#import reduce
#import grid

struct Sizes { n: u32, images: u32 } // images times views, images

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> images: array<u32>;           // [images][CHANNELS][HEIGHT][WIDTH] bytes, four to a word
@group(0) @binding(2) var<storage, read_write> draws: array<vec4<f32>>; // [rows][n]

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let n = flat_group(group, groups);
    if n >= sizes.n { return; }
    var sum = 0.0;
    for (var at = lane; at < PLANE; at += LANES) {
        let value = moved(n, vec2<i32>(i32(at % WIDTH), i32(at / WIDTH))) / 255.0;
        sum += grey(jittered(n, value, true));
    }
    let total = reduce_sum(lane, vec4<f32>(sum, 0.0, 0.0, 0.0)).x;
    if lane == 0u { draws[(JITTER + 1u) * sizes.n + n].y = total / f32(PLANE); }
}
