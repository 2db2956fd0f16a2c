// A pixel of an image after what moves its pixels: the drawn part, mirrored, rotated about the centre (nearest pixel, fill 0). The
// kernel has the images' bytes and the draws.
//
// The part is a shifted one, beyond the image black or, with REFLECT, the image mirrored about its outermost pixels, which are not
// repeated. With AREA, the row of the draws that has its height and width, it is one inside of the image, brought to the image's
// size by bilinear interpolation: the centres of the outermost pixels lie half a pixel inside. It is never larger than the image,
// so that torchvision's antialiasing would change nothing.
//
// The rotation is Pillow's: the source of output pixel (i,j) is the affine image of (i+0.5, j+0.5) in 16.16 fixed point. Sine
// and cosine are Taylor polynomials, accurate to f32 below 45 degrees, since WGSL's own may be off by 2^-11.

const SIZE: vec2<i32> = vec2<i32>(i32(WIDTH), i32(HEIGHT));
const PLANE: u32 = HEIGHT * WIDTH;

fn byte(at: u32) -> f32 { return f32((images[at / 4u] >> (8u * (at % 4u))) & 255u); }

fn fixed(v: f32) -> i32 { return i32(floor(v * 65536.0 + 0.5)); }

// The bytes of a pixel of the image whose bytes begin at `first`.
fn pixel(first: u32, at: vec2<i32>) -> vec3<f32> {
    let place = first + u32(at.y) * WIDTH + u32(at.x);
    var value = vec3<f32>(byte(place), 0.0, 0.0);
    if CHANNELS == 3u { value = vec3<f32>(value.x, byte(place + PLANE), byte(place + 2u * PLANE)); }
    return value;
}

// A pixel of the part at `corner`, brought to the image's size. Pixel i lies at ((2i + 1) length - SIZE) / (2 SIZE) of the part, in
// whole numbers, so that only the weights are rounded.
fn resized(first: u32, corner: vec2<i32>, length: vec2<i32>, at: vec2<i32>) -> vec3<f32> {
    let place = max((2 * at + 1) * length - SIZE, vec2<i32>());
    let near = place / (2 * SIZE);
    let far = min(near + 1, length - 1);
    let part = vec2<f32>(place - near * 2 * SIZE) / vec2<f32>(2 * SIZE);
    let above = mix(pixel(first, corner + near), pixel(first, corner + vec2<i32>(far.x, near.y)), part.x);
    let below = mix(pixel(first, corner + vec2<i32>(near.x, far.y)), pixel(first, corner + far), part.x);
    return mix(above, below, part.y);
}

// From 0 to 255: the pixel at (column, row) of result n.
fn moved(n: u32, place: vec2<i32>) -> vec3<f32> {
    var at = place;
    let draw = draws[n];
    if draw.w != 0.0 {
        var degrees = draw.w;
        var quarters = 0;
        if QUARTERS {
            quarters = i32(floor(degrees / 90.0 + 0.5));
            degrees -= 90.0 * f32(quarters);
        }
        let turn = -radians(degrees);
        let t2 = turn * turn;
        var c = 1.0 - t2 * (0.5 - t2 * (1.0 / 24.0 - t2 * (1.0 / 720.0 - t2 / 40320.0)));
        var s = turn * (1.0 - t2 * (1.0 / 6.0 - t2 * (1.0 / 120.0 - t2 * (1.0 / 5040.0 - t2 / 362880.0))));
        if QUARTERS {
            if (quarters & 2) != 0 { c = -c; s = -s; }
            if (quarters & 1) != 0 { let old = c; c = s; s = -old; }
        }
        // The matrix is [c s; -s c], about the centre, and applies to pixel centres.
        let centre = 0.5 * vec2<f32>(SIZE);
        let first = centre - 0.5;
        let origin = vec2<f32>(centre.x - first.x * c - first.y * s, centre.y + first.x * s - first.y * c);
        let x_fixed = fixed(origin.x) + at.x * fixed(c) + at.y * fixed(s);
        let y_fixed = fixed(origin.y) + at.x * fixed(-s) + at.y * fixed(c);
        at = vec2<i32>(x_fixed >> 16u, y_fixed >> 16u);
    }
    var inside = all(at >= vec2<i32>()) && all(at < SIZE);
    if draw.z != 0.0 { at.x = SIZE.x - 1 - at.x; }
    let first = (n % sizes.images) * CHANNELS * PLANE;
    var value = vec3<f32>();
    if AREA > 0u {
        if inside { value = resized(first, vec2<i32>(draw.yx), vec2<i32>(draws[AREA * sizes.n + n].yx), at); }
    } else {
        at += vec2<i32>(i32(draw.y), i32(draw.x));
        if REFLECT { at = SIZE - 1 - abs(SIZE - 1 - abs(at)); }
        inside = inside && all(at >= vec2<i32>()) && all(at < SIZE);
        if inside { value = pixel(first, at); }
    }
    return value;
}
