//! source = "Xie et al. 2022; sail-sg/Adan"
//! state = { m = {}, d = {}, n = {}, previous = {} }
//! [settings]
//! lr = { default = 1e-3, min = 0, doc = "the learning rate" }
//! beta1 = { default = 0.98, min = 0, below = 1, doc = "the decay of the first moment" }
//! beta2 = { default = 0.92, min = 0, below = 1, doc = "the decay of the gradient's change" }
//! beta3 = { default = 0.99, min = 0, below = 1, doc = "the decay of the second moment" }
//! eps = { default = 1e-8, above = 0, doc = "what is added to the root in the denominator" }
//! weight_decay = { default = 0.0, min = 0, doc = "the decay: division by 1 + lr * weight_decay after the step" }
//! no_prox = { default = false, doc = "decay as AdamW's instead" }
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
//! one_minus_beta3 = "1 - beta3"
//! first = "1 / (1 - beta1^t)"
//! change = "beta2 * (1 / (1 - beta2^t))"
//! root = "sqrt(1 / (1 - beta3^t))"
//! begins = "t == 1"
// Adan: Nesterov's momentum from the gradient and its change.
//
//   diff   = g - g_prev, 0 at t = 1
//   m     <- beta1*m + (1-beta1)*g;  d <- beta2*d + (1-beta2)*diff
//   n     <- beta3*n + (1-beta3)*(g + beta2*diff)^2
//   p     <- p - lr * (m/(1-beta1^t) + beta2 * d/(1-beta2^t)) / (sqrt(n)/sqrt(1-beta3^t) + eps)
//   p     <- p / (1 + lr*weight_decay);  NO_PROX: p <- p * (1 - lr*weight_decay) before the step instead
//
// Xie et al. 2022, Algorithm 1, and sail-sg/Adan, whose betas (1 minus the paper's) these are.
fn update(old: Element) -> Element {
    var e = old;
    let diff = select(e.g - e.previous, vec4<f32>(), at.begins != 0.0);
    e.previous = e.g;
    e.m = average(e.m, at.one_minus_beta1, e.g);
    e.d = average(e.d, at.one_minus_beta2, diff);
    e.n = average_square(e.n, at.one_minus_beta3, fma(vec4(settings.beta2), diff, e.g));
    if NO_PROX { e.p = fma(vec4(-at.lr * e.weight_decay), e.p, e.p); }
    let root = fma(sqrt(e.n), vec4(at.root), vec4(settings.eps));
    e.p = fma(vec4(-at.lr), fma(vec4(at.first), e.m, at.change * e.d) / root, e.p);
    if !NO_PROX { e.p /= 1.0 + at.lr * e.weight_decay; }
    return e;
}
