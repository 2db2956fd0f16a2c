// Matrix product on the device's cooperative matrices ("tensor cores"): f16 by f16, accumulated in f32. LANES = 256 invocations
// compute 64 rows by 64 columns; A and B are staged 32 deep as f16, which rounds weights but not activations. It uses 24 KiB of
// workgroup memory; every subgroup has SUBGROUP invocations. `matrix` is matrix_8, matrix_16 or matrix_plain, TILE its size, and
// STEPS = 32 / TILE.
//
// Sums over several stages are kept in registers: a cooperative matrix that is carried through a loop is wrong on some drivers.
//
// The importing file supplies gemm_tap, load_a, load_b and store; see shaders/README.md, "The matrix cores".
#import matrix
#import span

const PRODUCTS = 4096u / (TILE * TILE); // tiles of the result
const SUBGROUPS = LANES / SUBGROUP;

var<workgroup> tile_a: array<f16, 2048>; // [depth 32][rows]
var<workgroup> tile_b: array<f16, 2048>; // [depth 32][columns]
var<workgroup> tile_c: array<f32, 4096>; // [rows][columns]

fn gemm(row0: u32, col0: u32, lane: u32, span: Span) {
    var c0 = vec4<f32>(); var c1 = vec4<f32>(); var c2 = vec4<f32>(); var c3 = vec4<f32>();
    let tx = lane % 16u;
    let ty = lane / 16u;
    // The lower half of the invocations fetches a block of A each, the upper half one of B: block column tx, four steps from
    // `deep`.
    let deep = 4u * (ty % 8u);
    let mine = ty * 256u + 4u * tx; // this invocation's four rows and columns of the result
    var first = span.k;
    for (var t = span.tap; t < span.tap_end; t++) {
        let tap = gemm_tap(t);
        let end = select(span.depth, span.k_end, t + 1u == span.tap_end);
        for (var k = first; k < end; k += 32u) {
            var block = mat4x4<f32>();
            if k + deep < end {
                if ty < 8u { block = load_a(tap, row0 + 4u * tx, k + deep); }
                else { block = load_b(tap, k + deep, col0 + 4u * tx); }
            }
            #unroll d 4
            #unroll e 4
            {
                let at = (deep + $du) * 64u + 4u * tx + $eu;
                if ty < 8u { tile_a[at] = f16(block[$d][$e]); } else { tile_b[at] = f16(block[$d][$e]); }
            }
            #end
            #end
            workgroupBarrier();
            for (var i = 0u; i < PRODUCTS / SUBGROUPS; i++) {
                let tile = i * SUBGROUPS + lane / SUBGROUP;
                multiply(tile / (64u / TILE) * TILE, tile % (64u / TILE) * TILE, lane % SUBGROUP);
            }
            workgroupBarrier(); // A and B have been read, C is written
            #unroll r 4
            c$r += vec4<f32>(tile_c[mine + 64u * $ru], tile_c[mine + 64u * $ru + 1u],
                             tile_c[mine + 64u * $ru + 2u], tile_c[mine + 64u * $ru + 3u]);
            #end
        }
        first = 0u;
    }
    #unroll r 4
    store(row0 + 4u * ty + $ru, col0 + 4u * tx, c$r);
    #end
}

// The sum over the invocations that compute the same columns.
fn sum_over_rows(lane: u32, value: vec4<f32>) -> vec4<f32> {
    workgroupBarrier(); // the previous sum has been read
    #unroll e 4
    tile_c[4u * lane + $eu] = value[$e];
    #end
    workgroupBarrier();
    var sum = vec4<f32>();
    for (var i = lane % 16u; i < LANES; i += 16u) {
        sum += vec4<f32>(tile_c[4u * i], tile_c[4u * i + 1u], tile_c[4u * i + 2u], tile_c[4u * i + 3u]);
    }
    return sum;
}

const_assert LANES == 256u && PRODUCTS % SUBGROUPS == 0u;

fn gemm_rows() -> u32 { return 64u; }
fn gemm_cols() -> u32 { return 64u; }
