// Draws the jitter of each image's colours from (seed, epoch, image), as torchvision's ColorJitter: a factor from max(0, 1 - strength)
// to 1 + strength for each of brightness, contrast and saturation, a shift of the hue of up to its strength either way, and one of 24
// orders.
#import step
#import random

struct Sizes {
    n: u32,      // images times views
    images: u32,
    row: u32,    // the first of two rows of the draws
    brightness: f32, contrast: f32, saturation: f32, hue: f32,
}

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> indices: array<u32>;          // [images] index in the data set
@group(0) @binding(3) var<storage, read_write> draws: array<vec4<f32>>; // [rows][n]: (brightness, contrast, saturation, hue) and
                                                                        // (order, 0, 0, 0), whose mean comes later

// The permutation of 0 to 3 with this number below 24, two bits each, the first in the lowest: each digit, of bases 4, 3, 2 and 1, says
// which of those that are left comes next.
fn permutation(number: u32) -> u32 {
    var left = 0xe4u; // 0, 1, 2, 3
    var digits = number;
    var order = 0u;
    for (var k = 0u; k < 4u; k++) {
        let at = 2u * (digits % (4u - k));
        digits /= 4u - k;
        order |= ((left >> at) & 3u) << (2u * k);
        left = (left & ((1u << at) - 1u)) | ((left >> (at + 2u)) << at);
    }
    return order;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= sizes.n { return; }
    let image = indices[id.x % sizes.images];
    let words = random4(vec4<u32>(step.seed, step.epoch, image, 0x6a697474u));
    let order = permutation((random4(vec4<u32>(step.seed, step.epoch, image, 0x6a69746fu)).x >> 8u) % 24u);
    let share = vec4<f32>(unit(words.x), unit(words.y), unit(words.z), unit(words.w));
    let strength = vec3<f32>(sizes.brightness, sizes.contrast, sizes.saturation);
    let least = max(vec3<f32>(), 1.0 - strength);
    let factors = least + (1.0 + strength - least) * share.xyz;
    draws[sizes.row * sizes.n + id.x] = vec4<f32>(factors, 2.0 * sizes.hue * share.w - sizes.hue);
    draws[(sizes.row + 1u) * sizes.n + id.x] = vec4<f32>(f32(order), 0.0, 0.0, 0.0);
}
