// Moving averages, b <- beta*b + (1-beta)*x, written so that 1 - beta is rounded once and beta is not rounded at all. If beta is
// 0, this would leave a rounding error of the old b, so the average is x itself.
fn average(b: vec4<f32>, one_minus_beta: f32, x: vec4<f32>) -> vec4<f32> {
    return select(fma(vec4<f32>(one_minus_beta), x - b, b), x, one_minus_beta == 1.0);
}

// The same for x^2.
fn average_square(b: vec4<f32>, one_minus_beta: f32, x: vec4<f32>) -> vec4<f32> {
    return select(fma(vec4<f32>(one_minus_beta), fma(x, x, -b), b), x * x, one_minus_beta == 1.0);
}
