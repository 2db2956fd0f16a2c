// Measures the rate of multiply-adds when nothing else limits it: each invocation keeps eight vec4 in registers and works on
// them alone, with 512 multiply-adds, that is 1,024 operations, per turn.
struct Sizes { turns: u32, factor: f32, summand: f32 }

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4<f32>>; // [invocation]

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = group.x * 64u + lane;
    let factor = vec4<f32>(sizes.factor);
    let summand = vec4<f32>(sizes.summand);
    #unroll i 8
    var a_$i = vec4<f32>(f32(id + $iu));
    #end
    for (var turn = 0u; turn < sizes.turns; turn++) {
        #unroll k 16
        #unroll i 8
        a_$i = fma(a_$i, factor, summand);
        #end
        #end
    }
    sums[id] = ((a_0 + a_1) + (a_2 + a_3)) + ((a_4 + a_5) + (a_6 + a_7));
}
