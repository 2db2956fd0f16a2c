//! source = "torch.optim.NAdam; Dozat 2016"
//! state = { m = {}, v = {} }
//! [settings]
//! lr = { default = 2e-3, min = 0, doc = "the learning rate" }
//! beta1 = { default = 0.9, min = 0, below = 1, doc = "the decay of the first moment" }
//! beta2 = { default = 0.999, min = 0, below = 1, doc = "the decay of the second moment" }
//! eps = { default = 1e-8, above = 0, doc = "what is added to the root in the denominator" }
//! weight_decay = { default = 0.0, min = 0, doc = "the L2 penalty, or the decoupled decay" }
//! momentum_decay = { default = 4e-3, min = 0, doc = "how fast the momentum rises to beta1" }
//! decoupled_weight_decay = { default = false, doc = "decay as AdamW's instead of an L2 penalty" }
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
//! mu = "beta1 * (1 - 0.5 * 0.96^(t * momentum_decay))"
//! mu_next = "beta1 * (1 - 0.5 * 0.96^((t + 1) * momentum_decay))"
//! product_of_mu = "product(i, 1, t, beta1 * (1 - 0.5 * 0.96^(i * momentum_decay)))"
//! of_gradient = "(1 - mu) / (1 - product_of_mu)"
//! of_moment = "mu_next / (1 - product_of_mu * mu_next)"
//! second = "1 / (1 - beta2^t)"
// NAdam: Adam with Nesterov's momentum, whose factor mu rises with t. L2 penalty, or decoupled: p <- p * (1 - lr*weight_decay).
//
//   g     <- g + weight_decay*p
//   mu_t   = beta1 * (1 - 0.5 * 0.96^(t*momentum_decay));  P = mu_1 * ... * mu_t
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2
//   p     <- p - lr * ((1-mu_t)/(1-P) * g + mu_(t+1)/(1-P*mu_(t+1)) * m) / (sqrt(v/(1-beta2^t)) + eps)
//
// Dozat 2016; as torch.optim.NAdam.
fn update(old: Element) -> Element {
    var e = old;
    var g = e.g;
    if DECOUPLED_WEIGHT_DECAY {
        e.p = fma(vec4(-at.lr * e.weight_decay), e.p, e.p);
    } else {
        g = fma(vec4(e.weight_decay), e.p, g);
    }
    e.m = average(e.m, at.one_minus_beta1, g);
    e.v = average_square(e.v, at.one_minus_beta2, g);
    let d = fma(vec4(at.of_gradient), g, at.of_moment * e.m) / (sqrt(e.v * at.second) + settings.eps);
    e.p = fma(vec4(-at.lr), d, e.p);
    return e;
}
