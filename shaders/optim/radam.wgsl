//! source = "torch.optim.RAdam; Liu et al. 2020"
//! state = { m = {}, v = {} }
//! [settings]
//! lr = { default = 1e-3, min = 0, doc = "the learning rate" }
//! beta1 = { default = 0.9, min = 0, below = 1, doc = "the decay of the first moment" }
//! beta2 = { default = 0.999, min = 0, below = 1, doc = "the decay of the second moment" }
//! eps = { default = 1e-8, above = 0, doc = "what is added to the root in the denominator" }
//! weight_decay = { default = 0.0, min = 0, doc = "the L2 penalty, or the decoupled decay" }
//! decoupled_weight_decay = { default = false, doc = "decay as AdamW's instead of an L2 penalty" }
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
//! first = "1 / (1 - beta1^t)"
//! second = "1 / (1 - beta2^t)"
//! rho_inf = "2 / (1 - beta2) - 1"
//! rho = "rho_inf - 2 * t * (second - 1)"
//! r = "sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))"
//! rate = "if(rho > 5, first * r / sqrt(second), first)"
//! rectified = "rho > 5"
// RAdam: Adam once the variance of its step is tractable, momentum before that. The decay is an L2 penalty, or decoupled:
// p <- p * (1 - lr*weight_decay).
//
//   g     <- g + weight_decay*p
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2
//   rho    = rho_inf - 2*t*beta2^t/(1-beta2^t),  rho_inf = 2/(1-beta2) - 1
//   rho > 5:  p <- p - lr * r * sqrt(1-beta2^t) * m/(1-beta1^t) / (sqrt(v) + eps)
//   else      p <- p - lr * m/(1-beta1^t)
//   r      = sqrt((rho-4)*(rho-2)*rho_inf / ((rho_inf-4)*(rho_inf-2)*rho))
//
// Liu et al. 2020, Algorithm 2; as in torch.optim.RAdam, eps is added to the uncorrected root. beta2^t/(1-beta2^t) is computed
// as 1/(1-beta2^t) - 1.
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
    let d = select(e.m, e.m / (sqrt(e.v) + settings.eps), at.rectified != 0.0);
    e.p = fma(vec4(-at.lr * at.rate), d, e.p);
    return e;
}
