// A block of a tensor that Muon leaves to another rule: where it begins in the arena and in the second moment; its weight decay,
// 0 if decay leaves its tensor out; and its rate, as a factor on step.lr or, for the first layer's bias, which has a schedule of
// its own, on the share of its rate that is left.
struct Rest { first4: u32, len4: u32, v4: u32, weight_decay: f32, rate: f32, own: u32 }

fn rate_of(block: Rest, share: f32) -> f32 { return block.rate * select(step.lr, share, block.own != 0u); }
