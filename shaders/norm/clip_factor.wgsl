// factor = min(1, limit / (norm + 1e-6)): torch.nn.utils.clip_grad_norm_; Pascanu, Mikolov, Bengio 2013. One workgroup.
// A norm that is not finite gives a factor that is not either: the optimizer's guard then skips the update.
#import reduce

struct Sizes { blocks: u32, limit: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> sums: array<vec4<f32>>;        // [block] (sum g*g, 0, 0, 0)
@group(0) @binding(2) var<storage, read_write> factor: array<vec4<f32>>; // [1] (factor, 0, 0, 0)

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < sizes.blocks; i += LANES) { sum += sums[i].x; }
    let norm = sqrt(reduce_sum(lane, vec4<f32>(sum, 0.0, 0.0, 0.0)).x);
    if lane == 0u { factor[0] = vec4<f32>(min(1.0, sizes.limit / (norm + 1e-6)), 0.0, 0.0, 0.0); }
}
