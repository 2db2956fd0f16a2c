// torchvision's ColorJitter of a pixel from 0 to 1: adjust_brightness, adjust_contrast, adjust_saturation and adjust_hue on float
// tensors, in the order that was drawn for the image. BRIGHTNESS, CONTRAST, SATURATION and HUE say which of them there are; the
// last two do nothing to images in grey, and are off for them. JITTER is the row of the draws that has the factors, and the next one
// has (order, mean of the grey image where contrast comes in the order, 0, 0); the order has two bits for each, the first in the
// lowest.

fn blend(value: vec3<f32>, other: vec3<f32>, factor: f32) -> vec3<f32> {
    return clamp(factor * value + (1.0 - factor) * other, vec3<f32>(), vec3<f32>(1.0));
}

// rgb_to_grayscale
fn grey(value: vec3<f32>) -> f32 {
    if CHANNELS == 1u { return value.x; }
    return 0.2989 * value.x + 0.587 * value.y + 0.114 * value.z;
}

// RGB to HSV, the hue by a part of a circle further, and back. Value and saturation stay, so that the largest channel does and the
// others lie below it by shares of the difference to the smallest. Those are functions of the hue in sixths of a circle, from red by
// green to blue, whose steps are the branches of torchvision's `_hsv2rgb`.
fn turned(value: vec3<f32>, by: f32) -> vec3<f32> {
    let most = max(value.x, max(value.y, value.z));
    let chroma = most - min(value.x, min(value.y, value.z));
    if chroma == 0.0 { return value; }
    let below = (most - value) / chroma;
    var hue = 4.0 + below.y - below.x;
    if value.y == most { hue = 2.0 + below.x - below.z; }
    if value.x == most { hue = below.z - below.y; }
    let sixths = 6.0 * fract(hue / 6.0 + by);
    let begun = vec3<f32>(5.0, 3.0, 1.0) + sixths;
    let place = select(begun, begun - 6.0, begun >= vec3<f32>(6.0));
    let share = clamp(min(place, 4.0 - place), vec3<f32>(), vec3<f32>(1.0));
    return clamp(most - chroma * share, vec3<f32>(), vec3<f32>(1.0));
}

// The pixel after all of it; with `before_contrast`, after what comes before that.
fn jittered(n: u32, pixel: vec3<f32>, before_contrast: bool) -> vec3<f32> {
    let factors = draws[JITTER * sizes.n + n];
    let rest = draws[(JITTER + 1u) * sizes.n + n];
    var value = pixel;
    var order = u32(rest.x);
    for (var k = 0u; k < 4u; k++) {
        let kind = order & 3u;
        order >>= 2u;
        if BRIGHTNESS && kind == 0u { value = blend(value, vec3<f32>(), factors.x); }
        if CONTRAST && kind == 1u {
            if before_contrast { return value; }
            value = blend(value, vec3<f32>(rest.y), factors.y);
        }
        if SATURATION && kind == 2u { value = blend(value, vec3<f32>(grey(value)), factors.z); }
        if HUE && kind == 3u { value = turned(value, factors.w); }
    }
    return value;
}
