// The gradient of the queries: d_q = factor * sum over keys of ds k, with p = exp(s - log_sum), ds = p (dp - delta),
// dp = d_y v and delta = the sum over keys of p dp, which is d_y y. An invocation takes one query.
#import attention

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> indices: array<u32>;            // [n] index in the data set
@group(0) @binding(3) var<storage, read> qkv: array<vec4<scalar>>;       // [place][n][3][head][D4]
@group(0) @binding(4) var<storage, read> y: array<vec4<scalar>>;         // [place][n][head][D4]
@group(0) @binding(5) var<storage, read> d_y: array<vec4<scalar>>;       // [place][n][head][D4]
@group(0) @binding(6) var<storage, read> log_sum: array<f32>;            // [n][head][place]
@group(0) @binding(7) var<storage, read_write> delta: array<f32>;        // [n][head][place]
@group(0) @binding(8) var<storage, read_write> d_qkv: array<vec4<scalar>>; // [place][n][3][head][D4], of which the queries

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let query = group.x * 64u + lane;
    let head = group.y;
    let sample = group.z;
    if query >= sizes.places { return; }
    let at = row_of(query, sample, head, 0u);
    let out = ((query * sizes.n + sample) * sizes.heads + head) * D4;
    let row = (sample * sizes.heads + head) * sizes.places + query;
    var of_row = 0.0;
    #unroll i D4
    let q_$i = sizes.factor * vec4<f32>(qkv[at + $iu]);
    let g_$i = vec4<f32>(d_y[out + $iu]);
    of_row += dot(g_$i, vec4<f32>(y[out + $iu]));
    var sum_$i = vec4<f32>();
    #end
    delta[row] = of_row;
    let log_sum_of_row = log_sum[row];
    let count = keys_of(query);
    for (var first = 0u; first < count; first += 4u) {
        let keys = first + vec4<u32>(0u, 1u, 2u, 3u);
        let near = min(keys, vec4<u32>(sizes.places - 1u));
        #unroll j 4
        let key_$j = row_of(near[$j], sample, head, 1u);
        #end
        let values = sizes.heads * D4; // from a key to its value
        var s = vec4<f32>();
        var dp = vec4<f32>();
        #unroll i D4
        s += vec4<f32>(dot(q_$i, vec4<f32>(qkv[key_0 + $iu])), dot(q_$i, vec4<f32>(qkv[key_1 + $iu])),
                       dot(q_$i, vec4<f32>(qkv[key_2 + $iu])), dot(q_$i, vec4<f32>(qkv[key_3 + $iu])));
        dp += vec4<f32>(dot(g_$i, vec4<f32>(qkv[key_0 + values + $iu])), dot(g_$i, vec4<f32>(qkv[key_1 + values + $iu])),
                        dot(g_$i, vec4<f32>(qkv[key_2 + values + $iu])), dot(g_$i, vec4<f32>(qkv[key_3 + values + $iu])));
        #end
        if DROP { dp *= kept(sample, head, query, first / 4u); }
        let p = select(vec4<f32>(), exp(s - log_sum_of_row), visible(query, keys));
        let ds = p * (dp - of_row);
        #unroll i D4
        sum_$i += mat4x4<f32>(vec4<f32>(qkv[key_0 + $iu]), vec4<f32>(qkv[key_1 + $iu]), vec4<f32>(qkv[key_2 + $iu]),
            vec4<f32>(qkv[key_3 + $iu])) * ds;
        #end
    }
    #unroll i D4
    d_qkv[at + $iu] = vec4<scalar>(sizes.factor * sum_$i);
    #end
}
