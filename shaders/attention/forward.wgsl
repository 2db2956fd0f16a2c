// y = softmax(factor * q k^T) v for each sample and head: Vaswani et al. 2017, arXiv 1706.03762, equation 1; PyTorch's
// scaled_dot_product_attention, with is_causal for CAUSAL.
//
// An invocation takes one query and goes through the keys four at a time, keeping the largest product so far, the sum of
// exponentials and the weighted sum of values relative to it (Milakov, Gimelshein 2018, arXiv 1805.02867): no matrix of places
// by places is stored. log_sum is what the backward pass needs to compute the weights again.
#import attention
#import grid

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> indices: array<u32>;           // [n] index in the data set
@group(0) @binding(3) var<storage, read> qkv: array<vec4<scalar>>;      // [place][n][3][head][D4]
@group(0) @binding(4) var<storage, read_write> y: array<vec4<scalar>>;  // [place][n][head][D4]
@group(0) @binding(5) var<storage, read_write> log_sum: array<f32>;     // [n][head][place]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let query = group.x * 64u + lane;
    let head = group.y;
    let sample = group.z;
    if query >= sizes.places { return; }
    let at = row_of(query, sample, head, 0u);
    #unroll i D4
    let q_$i = sizes.factor * vec4<f32>(qkv[at + $iu]);
    var sum_$i = vec4<f32>();
    #end
    var largest = -1e30;
    var total = 0.0;
    let count = keys_of(query);
    for (var first = 0u; first < count; first += 4u) {
        let keys = first + vec4<u32>(0u, 1u, 2u, 3u);
        let near = min(keys, vec4<u32>(sizes.places - 1u));
        var s = vec4<f32>();
        #unroll j 4
        let key_$j = row_of(near[$j], sample, head, 1u);
        #end
        #unroll i D4
        s += vec4<f32>(dot(q_$i, vec4<f32>(qkv[key_0 + $iu])), dot(q_$i, vec4<f32>(qkv[key_1 + $iu])),
                       dot(q_$i, vec4<f32>(qkv[key_2 + $iu])), dot(q_$i, vec4<f32>(qkv[key_3 + $iu])));
        #end
        s = select(vec4<f32>(-1e30), s, visible(query, keys));
        let larger = max(largest, max(max(s.x, s.y), max(s.z, s.w)));
        let shrink = exp(largest - larger);
        var weight = exp(s - larger);
        total = fma(total, shrink, dot(weight, vec4<f32>(1.0)));
        if DROP { weight *= kept(sample, head, query, first / 4u); }
        largest = larger;
        let values = sizes.heads * D4; // from a key to its value
        #unroll i D4
        sum_$i = fma(vec4<f32>(shrink), sum_$i, mat4x4<f32>(vec4<f32>(qkv[key_0 + values + $iu]), vec4<f32>(qkv[key_1 + values + $iu]),
            vec4<f32>(qkv[key_2 + values + $iu]), vec4<f32>(qkv[key_3 + values + $iu])) * weight);
        #end
    }
    let out = ((query * sizes.n + sample) * sizes.heads + head) * D4;
    #unroll i D4
    y[out + $iu] = vec4<scalar>(sum_$i / total);
    #end
    log_sum[(sample * sizes.heads + head) * sizes.places + query] = largest + log(total);
}
