// The functions of an LSTM's gates. Both are made of one exponential, whose error is known, and saturate without infinities.
fn sigmoid(z: vec4<f32>) -> vec4<f32> { return 1.0 / (1.0 + exp(min(-z, vec4<f32>(80.0)))); }

fn hyperbolic_tangent(z: vec4<f32>) -> vec4<f32> { return fma(vec4<f32>(2.0), sigmoid(2.0 * z), vec4<f32>(-1.0)); }
