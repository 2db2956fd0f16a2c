// What the device tells the host after each submission; the host reads it later, never inside a step. The first batch of an
// update clears the first five words.
struct Report {
    loss: f32,         // sum over the targets of this update so far: one for an image, several for a block of tokens
    hits: u32,         // correctly classified among them
    targets: u32,
    clipped: u32,      // gradient elements that were clipped by value, and 1 more if the norm was clipped
    top: u32,          // targets of this update so far that are among the five likeliest classes
    skipped: u32,      // updates skipped since the run began, because loss or gradient was not finite
    skip: u32,         // 1 if this update is skipped
    scale: f32,        // loss scale of this update under mixed precision; else 0
    grad_norm: f32,    // 2-norm over all parameters, after clipping by value and before clipping by norm
    bounded_norm: f32, // the norm after clipping by norm: of the gradient as the rule sees it
}
