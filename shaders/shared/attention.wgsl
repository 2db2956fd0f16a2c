// What the three kernels of attention share: where queries, keys and values lie, and which weights are dropped.
//
// A head's rows are D4 vectors. The importing file supplies `sizes`, `step`, `indices` and `qkv`.
#import random
#import step

struct Sizes { n: u32, places: u32, heads: u32, factor: f32, layer: u32, p: f32 }

// The first vector of the head's query (part 0), key (1) or value (2) at this place.
fn row_of(place: u32, sample: u32, head: u32, part: u32) -> u32 {
    return (((place * sizes.n + sample) * 3u + part) * sizes.heads + head) * D4;
}

// The factors on the weights of the keys 4 * four .. 4 * four + 3 in the sum of a query: dropout of Srivastava et al. 2014.
fn kept(sample: u32, head: u32, query: u32, four: u32) -> vec4<f32> {
    let element = (head * sizes.places + query) * ((sizes.places + 3u) / 4u) + four;
    let words = random4(vec4<u32>(step.seed ^ sizes.layer, step.epoch, indices[sample], element));
    let draws = vec4<f32>(words >> vec4<u32>(8u)) * (1.0 / 16777216.0);
    return select(vec4<f32>(), vec4<f32>(1.0 / (1.0 - sizes.p)), draws >= vec4<f32>(sizes.p));
}

// Whether a query may see each of four keys.
fn visible(query: u32, keys: vec4<u32>) -> vec4<bool> {
    if CAUSAL { return keys <= vec4<u32>(query); }
    return keys < vec4<u32>(sizes.places);
}

// The keys of a query, counted from 0.
fn keys_of(query: u32) -> u32 {
    if CAUSAL { return query + 1u; }
    return sizes.places;
}
