// y = softmax(factor * q k^T) v for each sample and head: Vaswani et al. 2017, arXiv 1706.03762, equation 1; PyTorch's
// scaled_dot_product_attention, with is_causal for CAUSAL.
//
// An invocation takes one query and goes through the keys KEYS at a time, keeping the largest product so far, the sum of
// exponentials and the weighted sum of values relative to it (Milakov, Gimelshein 2018, arXiv 1805.02867): no matrix of places
// by places is stored. log_sum is what the backward pass needs to compute the weights again.
#import attention
#import tile
#import operand

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> indices: array<u32>;          // [n] index in the data set
@group(0) @binding(3) var<storage, read> qkv: array<scalars>;          // [place][n][3][head][D4]
@group(0) @binding(4) var<storage, read_write> y: array<vec4<scalar>>; // [place][n][head][D4]
@group(0) @binding(5) var<storage, read_write> log_sum: array<f32>;    // [n][head][place]

// The tile's sides are keys and values.
fn row_at(side: u32, place: u32) -> u32 { return part_at(1u + side, place); }
fn load(side: u32, at: u32) -> vec4<f32> { return from_scalars(qkv[at]); }

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let query = group.x * LANES + lane;
    head = group.y;
    sample = group.z;
    let at = part_at(0u, query);
    #unroll i D4
    let q_$i = sizes.factor * from_scalars(qkv[at + $iu]);
    var sum_$i = vec4<f32>();
    #end
    var largest = -1e30;
    var total = 0.0;
    let count = keys_of_group(group.x);
    for (var first = 0u; first < count; first += KEYS) {
        stage(0u, first, lane);
        stage(1u, first, lane);
        #unroll j KEYS
        var s_$j = 0.0;
        #end
        #unroll i D4
        #unroll j KEYS
        s_$j += dot(q_$i, row_$j(0u, $iu));
        #end
        #end
        var larger = largest;
        #unroll j KEYS
        s_$j = select(-1e30, s_$j, visible(query, first + $ju));
        larger = max(larger, s_$j);
        #end
        let shrink = exp(largest - larger);
        largest = larger;
        total *= shrink;
        #unroll j KEYS
        var w_$j = exp(s_$j - larger);
        total += w_$j;
        if DROP { w_$j *= kept(query, first + $ju); }
        #end
        #unroll i D4
        sum_$i *= shrink;
        #unroll j KEYS
        sum_$i = fma(vec4<f32>(w_$j), row_$j(1u, $iu), sum_$i);
        #end
        #end
    }
    if query >= sizes.places { return; }
    let out = out_at(query);
    #unroll i D4
    y[out + $iu] = vec4<scalar>(sum_$i / total);
    #end
    log_sum[(sample * sizes.heads + head) * sizes.places + query] = largest + log(total);
}
