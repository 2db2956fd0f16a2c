//! source = "Patitucci, Mokhtari 2026, arXiv 2602.10204"
//! state = { m = {}, v = {}, u = {} }
//! [settings]
//! lr = { default = 1e-3, min = 0, doc = "the learning rate" }
//! beta1 = { default = 0.9, min = 0, below = 1, doc = "the decay of the mean gradient and of the momentum" }
//! beta2 = { default = 0.999, min = 0, below = 1, doc = "the decay of the squared distance from the mean" }
//! eps = { default = 1e-8, above = 0, doc = "what is added to the root in the denominator" }
//! eps_s = { default = 1e-16, min = 0, doc = "what is added to the second moment at every update" }
//! weight_decay = { default = 0.0, min = 0, doc = "the decay, as wd_mode says" }
//! wd_mode = { words = ["decoupled", "l2"], doc = "decay by lr * weight_decay, or an L2 penalty" }
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
//! first = "1 / (1 - beta1^t)"
//! second = "1 / (1 - beta2^t)"
// MVN-Grad: momentum over gradients that were first divided by their deviation. Decoupled decay, or L2.
//
//   p     <- p * (1 - lr*weight_decay), l2: g <- g + weight_decay*p
//   m     <- beta1*m + (1-beta1)*g
//   v     <- beta2*v + (1-beta2)*(g-m)^2 + eps_s                         the new m; eps_s stays in v
//   z      = g / (sqrt(v/(1-beta2^t)) + eps)
//   u     <- beta1*u + (1-beta1)*z
//   p     <- p - lr * u/(1-beta1^t)
//
// Patitucci, Mokhtari 2026 (arXiv 2602.10204). g - m is computed as beta1*(g - m_old), which loses fewer digits.
fn update(old: Element) -> Element {
    var e = old;
    var g = e.g;
    if WD_MODE_L2 {
        g = fma(vec4(e.weight_decay), e.p, g);
    } else {
        e.p = fma(vec4(-at.lr * e.weight_decay), e.p, e.p);
    }
    e.m = average(old.m, at.one_minus_beta1, g);
    e.v = average_square(e.v, at.one_minus_beta2, settings.beta1 * (g - old.m)) + settings.eps_s;
    e.u = average(e.u, at.one_minus_beta1, g / (sqrt(e.v * at.second) + settings.eps));
    e.p = fma(vec4(-at.lr * at.first), e.u, e.p);
    return e;
}
