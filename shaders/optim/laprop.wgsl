//! source = "Ziyin, Wang, Ueda 2020; Z-T-WANG/LaProp-Optimizer"
//! state = { v = {}, u = {} }
//! [settings]
//! lr = { default = 4e-4, min = 0, doc = "the learning rate" }
//! beta1 = { default = 0.9, min = 0, below = 1, doc = "the decay of the momentum of normalized gradients" }
//! beta2 = { default = 0.999, min = 0, below = 1, doc = "the decay of the second moment" }
//! eps = { default = 1e-15, above = 0, doc = "what is added to the root in the denominator" }
//! weight_decay = { default = 0.0, min = 0, doc = "the decoupled decay: by lr * weight_decay, in the authors' code by weight_decay" }
//! official = { default = false, doc = "the rate inside the average and decay after the step, as the authors' code" }
//! [kept]
//! lr_average = { if = "official", next = "lr_average + one_minus_beta1 * (lr - lr_average)" }
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
//! first = "1 / (1 - beta1^t)"
//! second = "1 / (1 - beta2^t)"
// LaProp: momentum over gradients that were first divided by the root of Adam's second moment. Decoupled decay.
//
//   p     <- p * (1 - lr*weight_decay)
//   v     <- beta2*v + (1-beta2)*g^2;  z = g / (sqrt(v/(1-beta2^t)) + eps)
//   u     <- beta1*u + (1-beta1)*z
//   p     <- p - lr * u/(1-beta1^t)
//
// OFFICIAL, the authors' code: the rate is part of the average, and decay comes last, without the rate. At a rate of 0, lr/q
// counts as 1.
//
//   q     <- beta1*q + (1-beta1)*lr;  u <- beta1*u + (1-beta1)*lr*z                       q: lr_average
//   p     <- p - u * lr/q;  p <- p - weight_decay*p
//
// Ziyin, Wang, Ueda 2020, Algorithm 1; Z-T-WANG/LaProp-Optimizer.
fn update(old: Element) -> Element {
    var e = old;
    e.v = average_square(e.v, at.one_minus_beta2, e.g);
    let z = e.g / (sqrt(e.v * at.second) + settings.eps);
    e.u = average(e.u, at.one_minus_beta1, select(1.0, at.lr, OFFICIAL) * z);
    if OFFICIAL {
        e.p = fma(vec4(-select(1.0, at.lr / at.lr_average, at.lr != 0.0)), e.u, e.p);
        e.p = fma(vec4(-e.weight_decay), e.p, e.p);
    } else {
        e.p = fma(vec4(-at.lr * e.weight_decay), e.p, e.p);
        e.p = fma(vec4(-at.lr * at.first), e.u, e.p);
    }
    return e;
}
