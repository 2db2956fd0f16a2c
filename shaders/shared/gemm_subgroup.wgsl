// Matrix product without barriers: a workgroup is one subgroup of LANES invocations and computes 4*LANES rows by 4*LANES*COLS
// columns. Invocation `lane` loads rows 4*lane .. 4*lane+3 of A and shares each value by broadcast; it computes the columns
// 4*(lane + LANES*j) .. +3 of every row. This is fast where a load costs far more than arithmetic: on software devices. They have
// too few registers for the sums, so a sum gets the four terms at hand one after the other, and is fetched and put back once.
//
// The importing file supplies gemm_tap, load_a, load_b and store; see shaders/README.md, "The matrix cores".
#import span

fn gemm(row0: u32, col0: u32, lane: u32, span: Span) {
    let my_row = row0 + 4u * lane;
    #unroll j COLS
    let col_$j = col0 + 4u * (lane + $ju * LANES);
    #end
    #unroll i ROWS
    #unroll j COLS
    var c_$i_$j = vec4<f32>();
    #end
    #end
    var first = span.k;
    for (var t = span.tap; t < span.tap_end; t++) {
        let tap = gemm_tap(t);
        let end = select(span.depth, span.k_end, t + 1u == span.tap_end);
        for (var k = first; k < end; k += 4u) {
            let a = load_a(tap, my_row, k);
            #unroll j COLS
            let b_$j = load_b(tap, k, col_$j);
            #end
            #unroll i ROWS
            #unroll d 4
            {
                let s = vec4<f32>(subgroupBroadcast(a[$d][$i % 4], $iu / 4u));
                #unroll j COLS
                c_$i_$j = fma(s, b_$j[$d], c_$i_$j);
                #end
            }
            #end
            #end
        }
        first = 0u;
    }
    #unroll i ROWS
    #unroll j COLS
    store(row0 + $iu, col_$j, c_$i_$j);
    #end
    #end
}

const_assert ROWS == 4u * LANES;

// The sum over the invocations that compute the same columns, of which there is one.
fn sum_over_rows(lane: u32, value: vec4<f32>) -> vec4<f32> { return value; }

fn gemm_rows() -> u32 { return ROWS; }
fn gemm_cols() -> u32 { return 4u * LANES * COLS; }
