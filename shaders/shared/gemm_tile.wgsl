// Matrix product through workgroup memory: LANES = 256 invocations compute 64 rows by 64 columns, each 4 by 4 of them;
// A and B are staged 16 deep. WebGPU's core suffices: 8 KiB of workgroup memory, 256 invocations, no subgroups.
//
// The importing file supplies gemm_tap, load_a, load_b and store; see shaders/README.md, "The matrix cores".

var<workgroup> tile_a: array<vec4<f32>, 256>; // [depth 16][rows / 4]
var<workgroup> tile_b: array<vec4<f32>, 256>; // [depth 16][columns / 4]

fn gemm(row0: u32, col0: u32, lane: u32, taps: u32, depth: u32) {
    var c0 = vec4<f32>(); var c1 = vec4<f32>(); var c2 = vec4<f32>(); var c3 = vec4<f32>();
    let tx = lane % 16u;
    let ty = lane / 16u;
    // Invocations 0..63 fetch a block of A each, 64..127 one of B: block column tx, four steps of depth from `deep`.
    let deep = 4u * (ty % 4u);
    for (var t = 0u; t < taps; t++) {
        let tap = gemm_tap(t);
        for (var k = 0u; k < depth; k += 16u) {
            workgroupBarrier(); // the previous step has been read
            if ty < 8u {
                var block = mat4x4<f32>();
                if k + deep < depth {
                    if ty < 4u { block = load_a(tap, row0 + 4u * tx, k + deep); }
                    else { block = load_b(tap, k + deep, col0 + 4u * tx); }
                }
                if ty < 4u {
                    #unroll d 4
                    tile_a[(deep + $du) * 16u + tx] = block[$d];
                    #end
                } else {
                    #unroll d 4
                    tile_b[(deep + $du) * 16u + tx] = block[$d];
                    #end
                }
            }
            workgroupBarrier();
            #unroll d 16
            {
                let a = tile_a[$du * 16u + ty];
                let b = tile_b[$du * 16u + tx];
                c0 = fma(vec4<f32>(a.x), b, c0);
                c1 = fma(vec4<f32>(a.y), b, c1);
                c2 = fma(vec4<f32>(a.z), b, c2);
                c3 = fma(vec4<f32>(a.w), b, c3);
            }
            #end
        }
    }
    let row = row0 + 4u * ty;
    let col = col0 + 4u * tx;
    store(row, col, c0);
    store(row + 1u, col, c1);
    store(row + 2u, col, c2);
    store(row + 3u, col, c3);
}

const_assert LANES == 256u;

fn gemm_rows() -> u32 { return 64u; }
fn gemm_cols() -> u32 { return 64u; }
