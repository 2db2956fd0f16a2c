// The gradients of keys and values: d_v = sum over queries of p d_y, d_k = factor * sum over queries of ds q, with p and ds as in
// backward_query. An invocation takes one key and goes through the queries that see it, KEYS at a time.
#import attention
#import tile
#import operand

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> indices: array<u32>;              // [n] index in the data set
@group(0) @binding(3) var<storage, read> qkv: array<scalars>;              // [place][n][3][head][D4]
@group(0) @binding(4) var<storage, read> d_y: array<scalars>;              // [place][n][head][D4]
@group(0) @binding(5) var<storage, read> log_sum: array<f32>;              // [n][head][place]
@group(0) @binding(6) var<storage, read> delta: array<f32>;                // [n][head][place]
@group(0) @binding(7) var<storage, read_write> d_qkv: array<vec4<scalar>>; // [place][n][3][head][D4], of which keys and values

// The tile's sides are queries and gradients.
fn row_at(side: u32, place: u32) -> u32 {
    if side == 0u { return part_at(0u, place); }
    return out_at(place);
}

fn load(side: u32, at: u32) -> vec4<f32> {
    if side == 0u { return from_scalars(qkv[at]); }
    return from_scalars(d_y[at]);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let key = group.x * LANES + lane;
    head = group.y;
    sample = group.z;
    let of_key = part_at(1u, key);
    let of_value = part_at(2u, key);
    #unroll i D4
    let k_$i = sizes.factor * from_scalars(qkv[of_key + $iu]);
    let v_$i = from_scalars(qkv[of_value + $iu]);
    var d_k_$i = vec4<f32>();
    var d_v_$i = vec4<f32>();
    #end
    let rows = (sample * sizes.heads + head) * sizes.places;
    // Queries before the workgroup's first key see none of its keys.
    for (var first = select(0u, group.x * LANES, CAUSAL); first < sizes.places; first += KEYS) {
        stage(0u, first, lane);
        stage(1u, first, lane);
        #unroll j KEYS
        var s_$j = 0.0;
        var dp_$j = 0.0;
        #end
        #unroll i D4
        #unroll j KEYS
        s_$j += dot(k_$i, row_$j(0u, $iu));
        dp_$j += dot(v_$i, row_$j(1u, $iu));
        #end
        #end
        #unroll j KEYS
        let row_of_$j = rows + min(first + $ju, sizes.places - 1u);
        let seen_$j = first + $ju < sizes.places && visible(first + $ju, key);
        let p_$j = select(0.0, exp(s_$j - log_sum[row_of_$j]), seen_$j);
        var w_$j = p_$j;
        if DROP {
            let keep = kept(first + $ju, key);
            w_$j *= keep;
            dp_$j *= keep;
        }
        let ds_$j = p_$j * (dp_$j - delta[row_of_$j]);
        #end
        #unroll i D4
        #unroll j KEYS
        d_v_$i = fma(vec4<f32>(w_$j), row_$j(1u, $iu), d_v_$i);
        d_k_$i = fma(vec4<f32>(ds_$j), row_$j(0u, $iu), d_k_$i);
        #end
        #end
    }
    if key >= sizes.places { return; }
    #unroll i D4
    d_qkv[of_key + $iu] = vec4<scalar>(sizes.factor * d_k_$i);
    d_qkv[of_value + $iu] = vec4<scalar>(d_v_$i);
    #end
}
