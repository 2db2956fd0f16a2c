// The activation that follows a normalization or a bias in the same pass: RELU, GELU, GELU_TANH, RELU2, or none.
//
//   relu(z) = max(z, 0)
//   relu2(z) = max(z, 0)^2                                           So, Mańke, Liu and others 2021, arXiv 2109.08668
//   gelu(z) = z * P(z), P the distribution function of the normal distribution      Hendrycks, Gimpel 2016, arXiv 1606.08415
//
// P(-|z|) = erfc(|z| / sqrt 2) / 2 is a Chebyshev approximation whose relative error is below 1.2e-7, one unit of f32's last
// place, for every z (Press, Teukolsky, Vetterling, Flannery 1992, Numerical Recipes in C, 6.2): PyTorch's nn.GELU(). GELU_TANH
// is nn.GELU("tanh"), z * (1 + tanh(u)) / 2 with u = sqrt(2 / pi) * (z + 0.044715 z^3), which is z / (1 + exp(-2 u)).

fn tail(z: vec4<f32>) -> vec4<f32> {
    let x = abs(z) * 0.7071067811865476;
    let t = 1.0 / (1.0 + 0.5 * x);
    var p = fma(vec4<f32>(0.17087277), t, vec4<f32>(-0.82215223));
    p = fma(p, t, vec4<f32>(1.48851587));
    p = fma(p, t, vec4<f32>(-1.13520398));
    p = fma(p, t, vec4<f32>(0.27886807));
    p = fma(p, t, vec4<f32>(-0.18628806));
    p = fma(p, t, vec4<f32>(0.09678418));
    p = fma(p, t, vec4<f32>(0.37409196));
    p = fma(p, t, vec4<f32>(1.00002368));
    p = fma(p, t, vec4<f32>(-1.26551223));
    return 0.5 * t * exp(fma(-x, x, p));
}

// exp(-2 u), kept finite.
fn odds(z: vec4<f32>) -> vec4<f32> {
    return exp(min(-1.5957691216057308 * z * fma(0.044715 * z, z, vec4<f32>(1.0)), vec4<f32>(80.0)));
}

fn activate(z: vec4<f32>) -> vec4<f32> {
    if RELU { return select(z, vec4<f32>(), z <= vec4<f32>()); } // a NaN stays a NaN
    if GELU {
        let outside = z * tail(z);
        return select(outside, z - outside, z > vec4<f32>());
    }
    if GELU_TANH { return z / (1.0 + odds(z)); }
    if RELU2 { return select(z * z, vec4<f32>(), z <= vec4<f32>()); }
    return z;
}

// The gradient of z from the gradient d_y of activation(z); gelu'(z) = P(z) + z * exp(-z*z/2) / sqrt(2 pi),
// and by tanh s + z s (1 - s) d(2 u)/dz with s = 1 / (1 + exp(-2 u)).
fn activation_backward(z: vec4<f32>, d_y: vec4<f32>) -> vec4<f32> {
    if RELU { return select(vec4<f32>(), d_y, z > vec4<f32>()); }
    if GELU {
        let outside = tail(z);
        let below = select(outside, 1.0 - outside, z > vec4<f32>());
        return d_y * fma(z, 0.3989422804014327 * exp(-0.5 * z * z), below);
    }
    if GELU_TANH {
        let e = odds(z);
        let share = 1.0 / (1.0 + e);
        let slope = 1.5957691216057308 * fma(3.0 * 0.044715 * z, z, vec4<f32>(1.0)); // of 2 u
        return d_y * fma(z * slope, e * share * share, share);
    }
    if RELU2 { return select(vec4<f32>(), 2.0 * z * d_y, z > vec4<f32>()); }
    return d_y;
}
