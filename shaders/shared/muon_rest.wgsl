// A block of what Muon leaves: where it begins in the arena, and in the second moment; its weight decay, 0 where that leaves its
// tensor out; and its rate, a multiple of step.lr, or of the share that the first layer's bias has in a rate of its own.
struct Rest { first4: u32, len4: u32, v4: u32, weight_decay: f32, rate: f32, own: u32 }

fn rate_of(block: Rest, share: f32) -> f32 { return block.rate * select(step.lr, share, block.own != 0u); }
