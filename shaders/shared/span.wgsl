// What one workgroup adds up of a sum over (tap, depth): the taps from `tap` up to `tap_end`, each from 0 up to `depth`, except
// that the first starts from `k` and the last ends at `k_end`.
struct Span { tap: u32, tap_end: u32, k: u32, k_end: u32, depth: u32 }

fn whole(taps: u32, depth: u32) -> Span { return Span(0u, taps, 0u, depth, depth); }

// One of `parts` shares that differ by at most a step of 32, which is as deep as any core stages. Shares may be empty.
fn share(taps: u32, depth: u32, part: u32, parts: u32) -> Span {
    let steps = (depth + 31u) / 32u;
    let first = taps * steps * part / parts;
    let end = taps * steps * (part + 1u) / parts;
    if first == end { return Span(0u, 0u, 0u, 0u, depth); }
    let last = end - 1u;
    return Span(first / steps, last / steps + 1u, first % steps * 32u, min(last % steps * 32u + 32u, depth), depth);
}
