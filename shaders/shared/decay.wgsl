// The weight decay of the chunk that a workgroup takes: 0 in a tensor that decay leaves out. Tensors begin on a chunk, so a
// chunk holds only one tensor.
//
// The importing file supplies `sizes.len4`, `sizes.weight_decay` and `decays`: 1 or 0 for each chunk of 256 vec4.
fn weight_decay_of(chunk: u32) -> f32 {
    // A two-dimensional grid may have a workgroup beyond the last chunk.
    return sizes.weight_decay * decays[min(chunk, (sizes.len4 - 1u) / 256u)];
}
