//! source = "Chen et al. 2023; google/automl"
//! state = { m = {} }
//! [settings]
//! lr = { default = 1e-4, min = 0, doc = "the learning rate" }
//! beta1 = { default = 0.9, min = 0, below = 1, doc = "the share of the momentum in the direction" }
//! beta2 = { default = 0.99, min = 0, below = 1, doc = "the decay of the momentum" }
//! weight_decay = { default = 0.0, min = 0, doc = "the decoupled decay, by lr * weight_decay" }
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
// Lion: steps along the sign of an interpolated momentum. Decoupled decay.
//
//   p     <- p * (1 - lr*weight_decay)
//   p     <- p - lr * sign(beta1*m + (1-beta1)*g);  then m <- beta2*m + (1-beta2)*g
//
// Chen et al. 2023, Algorithm 2, and google/automl; sign(0) = 0.
fn update(old: Element) -> Element {
    var e = old;
    e.p = fma(vec4(-at.lr * e.weight_decay), e.p, e.p);
    e.p = fma(vec4(-at.lr), sign(fma(vec4(settings.beta1), e.m, at.one_minus_beta1 * e.g)), e.p);
    e.m = average(e.m, at.one_minus_beta2, e.g);
    return e;
}
