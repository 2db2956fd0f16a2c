// The gradient of the queries: d_q = factor * sum over keys of ds k, with p = exp(s - log_sum), ds = p (dp - delta),
// dp = d_y v and delta = the sum over keys of p dp, which is d_y y. An invocation takes one query.
#import attention
#import tile
#import operand

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<uniform> step: Step;
@group(0) @binding(2) var<storage, read> indices: array<u32>;              // [n] index in the data set
@group(0) @binding(3) var<storage, read> qkv: array<scalars>;              // [place][n][3][head][D4]
@group(0) @binding(4) var<storage, read> y: array<scalars>;                // [place][n][head][D4]
@group(0) @binding(5) var<storage, read> d_y: array<scalars>;              // [place][n][head][D4]
@group(0) @binding(6) var<storage, read> log_sum: array<f32>;              // [n][head][place]
@group(0) @binding(7) var<storage, read_write> delta: array<f32>;          // [n][head][place]
@group(0) @binding(8) var<storage, read_write> d_qkv: array<vec4<scalar>>; // [place][n][3][head][D4], of which the queries

// The tile's sides are keys and values.
fn row_at(side: u32, place: u32) -> u32 { return part_at(1u + side, place); }
fn load(side: u32, at: u32) -> vec4<f32> { return from_scalars(qkv[at]); }

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let query = group.x * LANES + lane;
    head = group.y;
    sample = group.z;
    let at = part_at(0u, query);
    let out = out_at(query);
    var of_row = 0.0;
    #unroll i D4
    let q_$i = sizes.factor * from_scalars(qkv[at + $iu]);
    let g_$i = from_scalars(d_y[out + $iu]);
    of_row += dot(g_$i, from_scalars(y[out + $iu]));
    var sum_$i = vec4<f32>();
    #end
    let row = (sample * sizes.heads + head) * sizes.places + min(query, sizes.places - 1u);
    let log_sum_of_row = log_sum[row];
    let count = keys_of_group(group.x);
    for (var first = 0u; first < count; first += KEYS) {
        stage(0u, first, lane);
        stage(1u, first, lane);
        #unroll j KEYS
        var s_$j = 0.0;
        var dp_$j = 0.0;
        #end
        #unroll i D4
        #unroll j KEYS
        s_$j += dot(q_$i, row_$j(0u, $iu));
        dp_$j += dot(g_$i, row_$j(1u, $iu));
        #end
        #end
        #unroll j KEYS
        if DROP { dp_$j *= kept(query, first + $ju); }
        let p_$j = select(0.0, exp(s_$j - log_sum_of_row), visible(query, first + $ju));
        let ds_$j = p_$j * (dp_$j - of_row);
        #end
        #unroll i D4
        #unroll j KEYS
        sum_$i = fma(vec4<f32>(ds_$j), row_$j(0u, $iu), sum_$i);
        #end
        #end
    }
    if query >= sizes.places { return; }
    delta[row] = of_row;
    #unroll i D4
    d_qkv[at + $iu] = vec4<scalar>(sizes.factor * sum_$i);
    #end
}
