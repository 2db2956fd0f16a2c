//! source = "the AMVT paper, Algorithm 1"
//! clip_norm = "clip"
//! state = { m = {}, v = {}, s = {} }
//! [settings]
//! lr = { default = 1e-3, min = 0, doc = "the learning rate" }
//! beta1 = { default = 0.9, min = 0, below = 1, doc = "the decay of the first moment" }
//! beta2 = { default = 0.999, min = 0, below = 1, doc = "the decay of the second moment" }
//! beta3 = { default = 0.99, min = 0, below = 1, doc = "the decay of the variance around the mean" }
//! eps = { default = 1e-8, above = 0, doc = "what is added to the second moment, or as eps_mode says to its root" }
//! weight_decay = { default = 0.0, min = 0, doc = "the decay, as wd_mode says" }
//! wd_mode = { words = ["literal", "decoupled"], doc = "decay by weight_decay, or by lr * weight_decay" }
//! eps_mode = { words = ["inside", "outside"], doc = "eps under the root, or beside it" }
//! bias_corrected = { default = true, doc = "the corrected first moment in the step" }
//! clip = { default = 0.0, min = 0, doc = "the largest norm of the whole gradient; 0 for no limit" }
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
//! one_minus_beta3 = "1 - beta3"
//! first = "if(bias_corrected, 1 / (1 - beta1^t), 1)"
//! second = "1 / (1 - beta2^t)"
//! third = "1 / (1 - beta3^t)"
// AMVT: Adam that adds to the second moment the variance of the gradient around its moving average.
//
//   g     <- g * clip/||g|| if ||g|| > clip                               norm/clip_norm.wgsl, before this
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2
//   s     <- beta3*s + (1-beta3)*(g-m)^2                                 the new m, not corrected
//   m^, v^, s^ = m/(1-beta1^t), v/(1-beta2^t), s/(1-beta3^t)             without bias_corrected m^ = m
//   a      = lr * (1 + s^/(v^+eps))^(-1/2) / sqrt(v^+eps) = lr / sqrt(v^ + s^ + eps)
//   outside: a = lr * (1 + s^/(v^+eps))^(-1/2) / (sqrt(v^) + eps)
//   p     <- p - a*m^ - weight_decay*p,  decoupled: lr*weight_decay*p    both of the p before the step
//
// The AMVT paper, Algorithm 1, with m^ from its step 7. g - m is computed as beta1*(g - m_old), which loses fewer digits.
fn update(old: Element) -> Element {
    var e = old;
    e.m = average(old.m, at.one_minus_beta1, e.g);
    e.v = average_square(e.v, at.one_minus_beta2, e.g);
    e.s = average_square(e.s, at.one_minus_beta3, settings.beta1 * (e.g - old.m));
    let v = e.v * at.second;
    let s = e.s * at.third;
    var root = sqrt(v + s + settings.eps);
    if EPS_MODE_OUTSIDE { root = sqrt(1.0 + s / (v + settings.eps)) * (sqrt(v) + settings.eps); }
    let decay = e.weight_decay * select(1.0, at.lr, WD_MODE_DECOUPLED);
    e.p = fma(vec4(-at.lr * at.first), e.m / root, fma(vec4(-decay), e.p, e.p));
    return e;
}
