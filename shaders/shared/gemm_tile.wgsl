// Matrix product through workgroup memory: LANES invocations compute ROWS by COLS, each 4*ROWS_4 by 4*COLS_4 of them; A and B
// are staged DEPTH deep, FETCHES blocks of 4x4 per invocation. Every WebGPU device can run it: it needs at most 16 KiB of
// workgroup memory, 256 invocations, and no subgroups.
//
// The importing file supplies gemm_tap, load_a, load_b and store; see shaders/README.md, "The matrix cores".
#import span

const ACROSS = COLS / (4u * COLS_4);
const DOWN = ROWS / (4u * ROWS_4);
const BLOCKS_A = ROWS * DEPTH / 16u;
const BLOCKS = BLOCKS_A + COLS * DEPTH / 16u;

var<workgroup> tile_a: array<vec4<f32>, ROWS * DEPTH / 4u>; // [depth][rows / 4]
var<workgroup> tile_b: array<vec4<f32>, COLS * DEPTH / 4u>; // [depth][columns / 4]

fn gemm(row0: u32, col0: u32, lane: u32, span: Span) {
    let tx = lane % ACROSS;
    let ty = lane / ACROSS;
    #unroll i ROWS_4
    #unroll e 4
    #unroll j COLS_4
    var c_$i_$e_$j = vec4<f32>();
    #end
    #end
    #end
    var first = span.k;
    for (var t = span.tap; t < span.tap_end; t++) {
        let tap = gemm_tap(t);
        let end = select(span.depth, span.k_end, t + 1u == span.tap_end);
        for (var k = first; k < end; k += DEPTH) {
            #unroll f FETCHES
            let block_$f = fetch(tap, row0, col0, lane + $fu * LANES, k, end);
            #end
            workgroupBarrier(); // the previous step has been read
            #unroll f FETCHES
            stage(lane + $fu * LANES, block_$f);
            #end
            workgroupBarrier();
            #unroll d DEPTH
            {
                #unroll i ROWS_4
                let a_$i = tile_a[$du * (ROWS / 4u) + ty + $iu * DOWN];
                #end
                #unroll j COLS_4
                let b_$j = tile_b[$du * (COLS / 4u) + tx + $ju * ACROSS];
                #end
                #unroll i ROWS_4
                #unroll e 4
                #unroll j COLS_4
                c_$i_$e_$j = fma(vec4<f32>(a_$i[$e]), b_$j, c_$i_$e_$j);
                #end
                #end
                #end
            }
            #end
        }
        first = 0u;
    }
    #unroll i ROWS_4
    #unroll e 4
    #unroll j COLS_4
    store(row0 + 4u * (ty + $iu * DOWN) + $eu, col0 + 4u * (tx + $ju * ACROSS), c_$i_$e_$j);
    #end
    #end
    #end
}

// Block `nth` of a step: first come those of A, side by side along the rows, then those of B along the columns.
fn fetch(tap: Tap, row0: u32, col0: u32, nth: u32, k: u32, end: u32) -> mat4x4<f32> {
    if nth < BLOCKS_A {
        let deep = k + nth / (ROWS / 4u) * 4u;
        if deep < end { return load_a(tap, row0 + nth % (ROWS / 4u) * 4u, deep); }
    } else if nth < BLOCKS {
        let deep = k + (nth - BLOCKS_A) / (COLS / 4u) * 4u;
        if deep < end { return load_b(tap, deep, col0 + (nth - BLOCKS_A) % (COLS / 4u) * 4u); }
    }
    return mat4x4<f32>();
}

fn stage(nth: u32, block: mat4x4<f32>) {
    if nth < BLOCKS_A {
        let at = nth / (ROWS / 4u) * ROWS + nth % (ROWS / 4u);
        #unroll d 4
        tile_a[at + $du * (ROWS / 4u)] = block[$d];
        #end
    } else if nth < BLOCKS {
        let at = (nth - BLOCKS_A) / (COLS / 4u) * COLS + (nth - BLOCKS_A) % (COLS / 4u);
        #unroll d 4
        tile_b[at + $du * (COLS / 4u)] = block[$d];
        #end
    }
}

// The sum over the invocations that compute the same columns.
fn sum_over_rows(lane: u32, value: vec4<f32>) -> vec4<f32> {
    workgroupBarrier(); // the last step, or the previous sum, has been read
    tile_a[lane] = value;
    workgroupBarrier();
    var sum = vec4<f32>();
    for (var i = lane % ACROSS; i < LANES; i += ACROSS) { sum += tile_a[i]; }
    return sum;
}

const_assert LANES <= ROWS * DEPTH / 4u;
const_assert ACROSS * DOWN == LANES && FETCHES * LANES >= BLOCKS && DEPTH % 4u == 0u && 32u % DEPTH == 0u;

fn gemm_rows() -> u32 { return ROWS; }
fn gemm_cols() -> u32 { return COLS; }
