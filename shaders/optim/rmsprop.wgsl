//! source = "torch.optim.RMSprop; Tieleman, Hinton 2012"
//! state = { v = {}, mean = { if = "centered" }, buffer = { if = "momentum != 0" } }
//! [settings]
//! lr = { default = 1e-2, min = 0, doc = "the learning rate" }
//! alpha = { default = 0.99, min = 0, below = 1, doc = "the decay of the second moment" }
//! eps = { default = 1e-8, above = 0, doc = "what is added to the root in the denominator" }
//! weight_decay = { default = 0.0, min = 0, doc = "the L2 penalty, added to the gradient" }
//! momentum = { default = 0.0, min = 0, doc = "the factor of the momentum buffer" }
//! centered = { default = false, doc = "division by the deviation from the mean gradient" }
//! [constants]
//! MOMENTUM = "momentum != 0"
//! [scalars]
//! one_minus_alpha = "1 - alpha"
// RMSprop, with an L2 penalty; CENTERED divides by the deviation, MOMENTUM sums the steps.
//
//   g     <- g + weight_decay*p
//   v     <- alpha*v + (1-alpha)*g^2
//   d      = g / (sqrt(v) + eps);  CENTERED: sqrt(v - mean^2) for sqrt(v), mean <- alpha*mean + (1-alpha)*g
//   p     <- p - lr*d;  MOMENTUM: buffer <- momentum*buffer + d;  p <- p - lr*buffer
//
// Tieleman, Hinton 2012, lecture 6e; centered: Graves 2013; as torch.optim.RMSprop. No bias correction.
//
// With CENTERED, v holds w = v - mean^2 itself, which obeys w <- alpha*w + (1-alpha)*alpha*(g - mean_old)^2: that is the same in
// exact arithmetic, and nothing cancels if the gradient hardly varies.
fn update(old: Element) -> Element {
    var e = old;
    let g = fma(vec4(e.weight_decay), e.p, e.g);
    var deviation = g;
    if CENTERED {
        deviation = sqrt(settings.alpha) * (g - e.mean);
        e.mean = average(e.mean, at.one_minus_alpha, g);
    }
    e.v = average_square(e.v, at.one_minus_alpha, deviation);
    var d = g / (sqrt(e.v) + settings.eps);
    if MOMENTUM {
        d = fma(vec4(settings.momentum), e.buffer, d);
        e.buffer = d;
    }
    e.p = fma(vec4(-at.lr), d, e.p);
    return e;
}
