// The grid of kernels that treat an activation as a matrix of rows (pixel, image) by channels: one invocation takes four
// channels (c4) of one chunk of consecutive rows, so that values that depend on the channel alone are loaded once.
#import grid

struct Part { c4: u32, chunk: u32, first: u32, last: u32 } // rows first .. last-1; empty outside the matrix

fn part_of(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> Part {
    let id = flat_group(group, groups) * 64u + lane;
    let chunk = id / sizes.c4;
    return Part(id % sizes.c4, chunk, min(chunk * sizes.chunk_rows, sizes.rows),
                min((chunk + 1u) * sizes.chunk_rows, sizes.rows));
}
