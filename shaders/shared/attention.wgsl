// What the three kernels of attention share: where queries, keys and values lie, which keys a query sees, and which weights are
// dropped. A workgroup has one head of one sample; a head's rows are D4 vectors.
//
// The importing file supplies `sizes`, `step`, `indices` and `qkv`.
#import random
#import step

struct Sizes { n: u32, places: u32, heads: u32, factor: f32, layer: u32, p: f32 } // layer: a number that no other op has

var<private> sample: u32;
var<private> head: u32;

// The first vector of the query (part 0), key (1) or value (2) at this place, or at the last one if there is no such place.
fn part_at(part: u32, place: u32) -> u32 {
    return (((min(place, sizes.places - 1u) * sizes.n + sample) * 3u + part) * sizes.heads + head) * D4;
}

// The first vector of the result at this place.
fn out_at(place: u32) -> u32 { return ((min(place, sizes.places - 1u) * sizes.n + sample) * sizes.heads + head) * D4; }

// The factor on the weight of a key in a query's sum: dropout of Srivastava et al. 2014.
fn kept(query: u32, key: u32) -> f32 {
    let element = (head * sizes.places + query) * ((sizes.places + 3u) / 4u) + key / 4u;
    let words = random4(vec4<u32>(step.seed ^ sizes.layer, step.epoch, indices[sample], element));
    let draw = f32(words[key % 4u] >> 8u) * (1.0 / 16777216.0);
    return select(0.0, 1.0 / (1.0 - sizes.p), draw >= sizes.p);
}

// How many keys, from the first on, any of a workgroup's queries sees.
fn keys_of_group(group: u32) -> u32 {
    if CAUSAL { return min(sizes.places, (group + 1u) * LANES); }
    return sizes.places;
}

fn visible(query: u32, key: u32) -> bool {
    if CAUSAL { return key <= query; }
    return key < sizes.places;
}
