// Draws what is done to each image, from (seed, epoch, image). SHIFT: a shift of up to `padding` pixels each way. FLIP: a mirror
// image half of the time; ALTERNATING: half of the images, drawn from (seed, image), are mirrored in odd epochs and the others in
// even ones (Jordan 2024, arXiv 2404.00498, 3.6). ROTATE: up to `degrees` either way. AREA and ERASE are rows of rectangles, 0 if
// there are none: torchvision's RandomResizedCrop, with a ratio of 3/4 to 4/3, and RandomErasing, with a scale of 0.02 to 0.33 and
// a ratio of 0.3 to 3.3, each with ten tries.
//
// VIEWS: the six views of an evaluation, all images in each: unshifted, a pixel up and left, a pixel down and right, each as it is
// and mirrored (views/average weighs them).
#import step
#import random

struct Sizes {
    n: u32,      // images times views
    images: u32,
    height: u32, width: u32,
    padding: u32,
    degrees: f32,
    least: f32,  // the smallest share of an image's area that a resized crop takes
    erased: f32, // the probability of an erasing
}

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> indices: array<u32>;          // [images] index in the data set
@group(0) @binding(3) var<storage, read_write> draws: array<vec4<f32>>; // [rows][n]: (top, left, mirrored, degrees); (height, width,
                                                                        // 0, 0) of the crop; (top, left, height, width) of the erasing

// e^x for |x| < 1.3: a Taylor polynomial at a quarter of it, since WGSL's own may be off by more.
fn exponential(x: f32) -> f32 {
    let q = 0.25 * x;
    var sum = 1.0 + q / 8.0;
    for (var k = 7u; k > 0u; k--) { sum = 1.0 + q / f32(k) * sum; }
    sum *= sum;
    return sum * sum;
}

// The whole number nearest to the square root, whose own rounding would depend on the device.
fn rounded_root(x: f32) -> u32 {
    let root = u32(sqrt(x) + 0.5);
    let r = f32(root);
    if root > 0u && r * r - r + 0.25 > x { return root - 1u; }
    if r * r + r + 0.25 < x { return root + 1u; }
    return root;
}

fn uniform_from(least: f32, most: f32, word: u32) -> f32 { return least + (most - least) * unit(word); }

// (top, left, height, width): ten tries, then the largest part in the middle that has an allowed ratio.
fn resized(image: u32) -> vec4<u32> {
    let whole = vec2<u32>(sizes.height, sizes.width);
    for (var i = 0u; i < 10u; i++) {
        let word = random4(vec4<u32>(step.seed, step.epoch, image, 0x72726300u + i));
        let area = f32(whole.x * whole.y) * uniform_from(sizes.least, 1.0, word.x);
        let ratio = exponential(uniform_from(-0.28768207245, 0.28768207245, word.y));
        let size = vec2<u32>(rounded_root(area / ratio), rounded_root(area * ratio));
        if all(size > vec2<u32>()) && all(size <= whole) {
            return vec4<u32>((word.zw >> vec2<u32>(8u)) % (whole - size + 1u), size);
        }
    }
    var size = whole;
    // Nearest whole numbers of w / (3/4) and h (4/3), where a half cannot come up.
    if 4u * whole.y < 3u * whole.x { size.x = (8u * whole.y + 3u) / 6u; }
    if 3u * whole.y > 4u * whole.x { size.y = (8u * whole.x + 3u) / 6u; }
    return vec4<u32>((whole - size) / 2u, size);
}

// (top, left, height, width); without pixels if nothing is erased, also if ten tries give no rectangle that is smaller each way.
fn erased(image: u32) -> vec4<u32> {
    let whole = vec2<u32>(sizes.height, sizes.width);
    if unit(random4(vec4<u32>(step.seed, step.epoch, image, 0x65726170u)).x) >= sizes.erased { return vec4<u32>(); }
    for (var i = 0u; i < 10u; i++) {
        let word = random4(vec4<u32>(step.seed, step.epoch, image, 0x65726100u + i));
        let area = f32(whole.x * whole.y) * uniform_from(0.02, 0.33, word.x);
        let ratio = exponential(uniform_from(-1.2039728043, 1.1939224685, word.y));
        let size = vec2<u32>(rounded_root(area * ratio), rounded_root(area / ratio));
        if all(size < whole) { return vec4<u32>((word.zw >> vec2<u32>(8u)) % (whole - size + 1u), size); }
    }
    return vec4<u32>();
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= sizes.n { return; }
    let image = indices[id.x % sizes.images];
    let word = random4(vec4<u32>(step.seed, step.epoch, image, 0x617567u));
    var draw = vec4<f32>();
    if SHIFT {
        let places = 2u * sizes.padding + 1u;
        draw.x = f32((word.x >> 8u) % places) - f32(sizes.padding);
        draw.y = f32((word.y >> 8u) % places) - f32(sizes.padding);
    }
    if FLIP {
        draw.z = f32(word.z >> 31u);
        if ALTERNATING {
            let side = random4(vec4<u32>(step.seed, 0u, image, 0x666c6970u)).x >> 31u;
            draw.z = f32((side + step.epoch) % 2u);
        }
    }
    if ROTATE { draw.w = 2.0 * sizes.degrees * unit(word.w) - sizes.degrees; }
    if AREA > 0u {
        let part = vec4<f32>(resized(image));
        draw = vec4<f32>(part.xy, draw.zw);
        draws[AREA * sizes.n + id.x] = vec4<f32>(part.zw, 0.0, 0.0);
    }
    if ERASE > 0u { draws[ERASE * sizes.n + id.x] = vec4<f32>(erased(image)); }
    if VIEWS {
        let view = id.x / sizes.images;
        var at = 0.0;
        if view / 2u == 1u { at = -1.0; }
        if view / 2u == 2u { at = 1.0; }
        draw = vec4<f32>(at, at, f32(view % 2u), 0.0);
    }
    draws[id.x] = draw;
}
