// VeloGrad, 4 of 5. The adaptive weight decay of each tensor. One workgroup.
//
//   lambda_t = weight_decay * cap(l) * cap(||u||), or with DELTA cap(||rate*u||); GLOBAL: norms over all tensors;
//   0 for a tensor that weight decay leaves out
#import reduce
#import blocks

struct Sizes { segments: u32, weight_decay: f32, eps: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> segments: array<Segment>;
@group(0) @binding(2) var<storage, read> sums: array<vec4<f32>>;        // [block] (sum u*u, 0, 0, 0)
@group(0) @binding(3) var<storage, read> memory: array<f32>;            // l, then squared norms
@group(0) @binding(4) var<storage, read_write> table: array<vec4<f32>>; // [segment] (s, a, rate, active), (.., .., .., a*lambda)

fn cap(x: f32) -> f32 { return 1.0 / max(1.0, x + sizes.eps); }

@compute @workgroup_size(LANES)
fn main(@builtin(local_invocation_index) lane: u32) {
    var mine = 0.0;
    for (var i = lane; i < sizes.segments; i += LANES) {
        var sum = 0.0;
        for (var b = 0u; b < segments[i].blocks; b++) { sum += sums[segments[i].first_block + b].x; }
        if DELTA { sum *= table[2u * i].z * table[2u * i].z; }
        table[2u * i + 1u].w = sum;
        mine += sum;
    }
    let total = reduce_sum(lane, vec4<f32>(mine, 0.0, 0.0, 0.0)).x;
    if table[0].w == 0.0 { return; } // the update is skipped
    for (var i = lane; i < sizes.segments; i += LANES) {
        var lambda = sizes.weight_decay * segments[i].decay;
        if USE_ADAPTIVE_DECAY {
            lambda *= cap(memory[0]) * cap(sqrt(select(table[2u * i + 1u].w, total, GLOBAL)));
        }
        table[2u * i + 1u].w = table[2u * i].y * lambda;
    }
}
