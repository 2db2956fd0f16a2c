// The gradients of keys and values: d_v = sum over queries of p d_y, d_k = factor * sum over queries of ds q, with p and ds as in
// backward_query. An invocation takes one key and goes through the queries that see it.
#import attention

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> indices: array<u32>;            // [n] index in the data set
@group(0) @binding(3) var<storage, read> qkv: array<vec4<scalar>>;       // [place][n][3][head][D4]
@group(0) @binding(4) var<storage, read> d_y: array<vec4<scalar>>;       // [place][n][head][D4]
@group(0) @binding(5) var<storage, read> log_sum: array<f32>;            // [n][head][place]
@group(0) @binding(6) var<storage, read> delta: array<f32>;              // [n][head][place]
@group(0) @binding(7) var<storage, read_write> d_qkv: array<vec4<scalar>>; // [place][n][3][head][D4], of which keys and values

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let key = group.x * 64u + lane;
    let head = group.y;
    let sample = group.z;
    if key >= sizes.places { return; }
    let of_key = row_of(key, sample, head, 1u);
    let of_value = row_of(key, sample, head, 2u);
    #unroll i D4
    let k_$i = sizes.factor * vec4<f32>(qkv[of_key + $iu]);
    let v_$i = vec4<f32>(qkv[of_value + $iu]);
    var d_k_$i = vec4<f32>();
    var d_v_$i = vec4<f32>();
    #end
    let rows = (sample * sizes.heads + head) * sizes.places;
    // Queries before the workgroup's first key see none of its keys; those before this one do not see this one.
    for (var query = select(0u, group.x * 64u, CAUSAL); query < sizes.places; query++) {
        let at = row_of(query, sample, head, 0u);
        let out = ((query * sizes.n + sample) * sizes.heads + head) * D4;
        var s = 0.0;
        var dp = 0.0;
        #unroll i D4
        let q_$i = vec4<f32>(qkv[at + $iu]);
        let g_$i = vec4<f32>(d_y[out + $iu]);
        s += dot(q_$i, k_$i);
        dp += dot(g_$i, v_$i);
        #end
        var p = exp(s - log_sum[rows + query]);
        if CAUSAL { p = select(0.0, p, key <= query); }
        var weight = p;
        if DROP {
            let keep = kept(sample, head, query, key / 4u)[key % 4u];
            weight *= keep;
            dp *= keep;
        }
        let ds = p * (dp - delta[rows + query]);
        #unroll i D4
        d_v_$i = fma(vec4<f32>(weight), g_$i, d_v_$i);
        d_k_$i = fma(vec4<f32>(ds), q_$i, d_k_$i);
        #end
    }
    #unroll i D4
    d_qkv[of_key + $iu] = vec4<scalar>(sizes.factor * d_k_$i);
    d_qkv[of_value + $iu] = vec4<scalar>(d_v_$i);
    #end
}
