// Draws what is done to each image, by WAY: 0, nothing; 1, crop, mirror and rotation, drawn from (seed, epoch, image); 2, a
// shift of up to 2 pixels each way, drawn from the same, and alternating flip: half of the images, drawn from (seed, image), are
// mirrored in odd epochs and the others in even ones (Jordan 2024, arXiv 2404.00498, 3.6); 3, the six views of an evaluation,
// all images in each: unshifted, a pixel up and left, a pixel down and right, each as it is and mirrored (views/average weighs
// them).
#import step
#import random

struct Sizes { n: u32, images: u32 } // n: images times views

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> indices: array<u32>;          // [images] index in the data set
@group(0) @binding(3) var<storage, read_write> draws: array<vec4<f32>>; // [n] (top, left, mirrored, degrees)

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= sizes.n { return; }
    let image = indices[id.x % sizes.images];
    var draw = vec4<f32>(4.0, 4.0, 0.0, 0.0);
    if WAY == 1u {
        let word = random4(vec4<u32>(step.seed, step.epoch, image, 0x617567u));
        draw = vec4<f32>(f32((word.x >> 8u) % 9u), f32((word.y >> 8u) % 9u), f32(word.z >> 31u),
                         30.0 * unit(word.w) - 15.0);
    }
    if WAY == 2u {
        let word = random4(vec4<u32>(step.seed, step.epoch, image, 0x617567u));
        let side = random4(vec4<u32>(step.seed, 0u, image, 0x666c6970u)).x >> 31u;
        draw = vec4<f32>(f32(2u + (word.x >> 8u) % 5u), f32(2u + (word.y >> 8u) % 5u), f32((side + step.epoch) % 2u), 0.0);
    }
    if WAY == 3u {
        let view = id.x / sizes.images;
        var at = 4.0;
        if view / 2u == 1u { at = 3.0; }
        if view / 2u == 2u { at = 5.0; }
        draw = vec4<f32>(at, at, f32(view % 2u), 0.0);
    }
    draws[id.x] = draw;
}
