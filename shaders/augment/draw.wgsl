// Where each image is cropped, whether it is mirrored and how far it is turned: a function of (seed, epoch, image)
// alone. With RANDOM off: the image as it is.
#import random
#import step

struct Sizes { n: u32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> indices: array<u32>;          // [n] place in the data set
@group(0) @binding(3) var<storage, read_write> draws: array<vec4<f32>>; // [n] (top, left, mirrored, degrees)

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= sizes.n { return; }
    var draw = vec4<f32>(4.0, 4.0, 0.0, 0.0);
    if RANDOM {
        let word = random4(vec4<u32>(step.seed, step.epoch, indices[id.x], 0x617567u));
        draw = vec4<f32>(f32((word.x >> 8u) % 9u), f32((word.y >> 8u) % 9u), f32(word.z >> 31u),
                         30.0 * unit(word.w) - 15.0);
    }
    draws[id.x] = draw;
}
