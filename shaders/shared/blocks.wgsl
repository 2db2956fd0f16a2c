// The arena's table. A block is a run of at most 16,384 floats of one parameter tensor; a segment is one tensor: a run of
// blocks. See docs/ARCHITECTURE.md, "Parameters". decay: 0 where weight decay leaves the tensor out, else 1.
struct Block { first4: u32, len4: u32, segment: u32, decay: f32 } // in vec4
struct Segment { first_block: u32, blocks: u32, decay: f32 }
