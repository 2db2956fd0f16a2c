// Muon, 2 of 7. Adds up the blocks' sums in order, and computes from them the scalars of each matrix's update.
//
//   1/(||d|| + 1e-7);  rate = lr*factor;  shrink = -lr*weight_decay
//   AIRBENCH: rate = lr, and shrink = factor/||theta|| - 1: theta gets the norm `factor`, the root of its row count
#import step
#import blocks
#import matrices

struct Sizes { first: u32, last: u32, weight_decay: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> matrices: array<Matrix>;
@group(0) @binding(3) var<storage, read> sums: array<vec4<f32>>;        // [block] (sum d*d, sum theta*theta, 0, 0)
@group(0) @binding(4) var<storage, read_write> table: array<vec4<f32>>; // [matrix] (1/(||d|| + 1e-7), rate, shrink, 0)

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= sizes.last { return; }
    let matrix = matrices[id.x];
    var sum = vec4<f32>();
    for (var b = 0u; b < matrix.blocks; b++) { sum += sums[matrix.first_block + b]; }
    let norms = sqrt(sum);
    var rate = step.lr * matrix.factor;
    var shrink = -step.lr * (sizes.weight_decay * matrix.decay);
    if AIRBENCH {
        rate = step.lr;
        shrink = 0.0; // for a matrix of zeros
        if norms.y > 0.0 { shrink = matrix.factor / norms.y - 1.0; }
    }
    table[id.x] = vec4<f32>(1.0 / (norms.x + 1e-7), rate, shrink, 0.0);
}
