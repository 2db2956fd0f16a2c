// What the device tells the host after each submission; the host reads it late, never inside a step. An update clears the
// first four words where it begins.
struct Report {
    loss: f32,         // sum over the images of this update so far
    hits: u32,         // correctly classified among them
    images: u32,
    clipped: u32,      // elements of the gradient that were bounded by value, and 1 more if its norm was bounded
    skipped: u32,      // updates skipped since the run began, because loss or gradient was not finite
    skip: u32,         // 1 if this update is skipped
    scale: f32,        // of this update's gradient under mixed precision; else 0
    grad_norm: f32,    // 2-norm over all parameters, after elements were bounded by value and before the norm is
    bounded_norm: f32, // after the norm is bounded too: of the gradient as the rule sees it
}
