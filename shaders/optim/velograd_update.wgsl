// VeloGrad, 3 of 5. m, v, g_prev and the step, and per block the sum of u*u. One workgroup per block.
//
//   m <- beta1*m + (1-beta1)*s*g;  v <- beta2*v + (1-beta2)*(s*g)^2
//   u =  m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + eps);  theta <- theta - rate*u
#import reduce
#import grid
#import blocks

struct Sizes { blocks: u32, one_minus_beta1: f32, one_minus_beta2: f32, eps: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> blocks: array<Block>;
@group(0) @binding(2) var<storage, read> table: array<vec4<f32>>; // [segment] (s, a, rate, active), (1/(1-beta1^t), 1/(1-beta2^t), ..)
@group(0) @binding(3) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> v: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> previous: array<vec4<f32>>;
@group(0) @binding(8) var<storage, read_write> sums: array<vec4<f32>>; // [block] (sum u*u, 0, 0, 0)

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
    let index = flat_group(group, groups);
    if index >= sizes.blocks { return; }
    let block = blocks[index];
    let scale = table[2u * block.segment];
    let row = table[2u * block.segment + 1u];
    if scale.w == 0.0 { return; }
    var squares = vec4<f32>();
    for (var k = lane; k < block.len4; k += LANES) {
        let i = block.first4 + k;
        let g = grads[i];
        previous[i] = g;
        let scaled = scale.x * g;
        // b <- beta*b + (1-beta)*x, written so that 1 - beta is rounded once and beta is not rounded at all.
        let m_new = fma(vec4<f32>(sizes.one_minus_beta1), scaled - m[i], m[i]);
        let v_new = fma(vec4<f32>(sizes.one_minus_beta2), fma(scaled, scaled, -v[i]), v[i]);
        m[i] = m_new;
        v[i] = v_new;
        let u = m_new * row.x / (sqrt(v_new * row.y) + sizes.eps);
        params[i] = fma(vec4<f32>(-scale.z), u, params[i]);
        squares = fma(u, u, squares);
    }
    let total = reduce_sum(lane, squares);
    if lane == 0u { sums[index] = vec4<f32>(dot(total, vec4<f32>(1.0)), 0.0, 0.0, 0.0); }
}
