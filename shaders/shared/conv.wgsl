// Sizes of a convolution, shared by its three passes, and the ranges of filter taps that lie on the map.
//
// Activations are [pixel][image][channel]: at a fixed pixel they are a dense matrix of images by channels, and a convolution is
// a sum of plain matrix products over (output pixel, tap) pairs. Pairs that lie in the padding are never visited, so nothing is
// multiplied by a padded zero.
struct Sizes {
    n: u32,       // images
    h: u32, w: u32, // input map
    c4: u32,      // input channels / 4
    p: u32, q: u32, // output map
    k4: u32,      // output channels / 4
    r: u32, s: u32, // filter
    stride: u32,
    pad: u32,
    first_r: u32, first_s: u32, // the first tap whose gradient is computed
    live_r: u32, live_s: u32, // how many taps there are
    parts: u32,   // workgroups that share a sum
}

// The indices first, first + by, ... (`count` of them).
struct Run { first: u32, count: u32 }

// Taps r of an output coordinate p with 0 <= p*stride + r - pad < h.
fn taps_of_output(p: u32, taps: u32, h: u32) -> Run {
    let at = i32(p * sizes.stride) - i32(sizes.pad);
    let first = max(0, -at);
    let last = min(i32(taps), i32(h) - at);
    return Run(u32(first), u32(max(0, last - first)));
}

// Taps r of an input coordinate h that some output p = (h + pad - r) / stride < outputs uses; they are `stride` apart.
fn taps_of_input(h: u32, taps: u32, outputs: u32) -> Run {
    let at = i32(h + sizes.pad);
    let stride = i32(sizes.stride);
    let first = max(at % stride, at - (i32(outputs) - 1) * stride);
    let last = min(i32(taps) - 1, at);
    return Run(u32(first), u32(select(0, (last - first) / stride + 1, last >= first)));
}

// Outputs p of a tap r with 0 <= p*stride + r - pad < h.
fn outputs_of_tap(r: u32, outputs: u32, h: u32) -> Run {
    let at = i32(r) - i32(sizes.pad);
    let stride = i32(sizes.stride);
    let first = max(0, (stride - 1 - at) / stride);
    let reach = i32(h) - at; // p*stride < reach
    let last = min(i32(outputs), (max(reach, 0) + stride - 1) / stride);
    return Run(u32(first), u32(max(0, last - first)));
}
