// VeloGrad, 5 of 5. Weight decay, and every k-th update the lookahead, which interpolates with the new slow weights. One
// workgroup per block.
//
//   theta <- theta * (1 - a*lambda_t)
//   slow  <- slow + alpha_slow*(theta - slow);  theta <- (1-alpha_interp)*theta + alpha_interp*slow
#import grid
#import blocks

struct Sizes { blocks: u32, alpha_slow: f32, alpha_interp: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> blocks: array<Block>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>; // [segment] (.., .., .., active), (.., .., lookahead due, a*lambda)
@group(0) @binding(3) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> slow: array<vec4<f32>>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = flat_group(group, groups);
    if index >= sizes.blocks { return; }
    let block = blocks[index];
    let row = table[2u * block.segment + 1u];
    let lookahead = USE_LOOKAHEAD && row.z != 0.0;
    if table[2u * block.segment].w == 0.0 || (row.w == 0.0 && !lookahead) { return; }
    for (var k = lane; k < block.len4; k += LANES) {
        let i = block.first4 + k;
        var theta = fma(vec4<f32>(-row.w), params[i], params[i]);
        if lookahead {
            let s = fma(vec4<f32>(sizes.alpha_slow), theta - slow[i], slow[i]);
            slow[i] = s;
            theta = fma(vec4<f32>(sizes.alpha_interp), s - theta, theta);
        }
        params[i] = theta;
    }
}
