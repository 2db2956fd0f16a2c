//! source = "torch.optim.Adadelta; Zeiler 2012"
//! state = { v = {}, u = {} }
//! [settings]
//! lr = { default = 1.0, min = 0, doc = "the learning rate" }
//! rho = { default = 0.9, min = 0, below = 1, doc = "the decay of both averages of squares" }
//! eps = { default = 1e-6, above = 0, doc = "what is added to both averages under their roots" }
//! weight_decay = { default = 0.0, min = 0, doc = "the L2 penalty, added to the gradient" }
//! [scalars]
//! one_minus_rho = "1 - rho"
// Adadelta with an L2 penalty.
//
//   g     <- g + weight_decay*p
//   v     <- rho*v + (1-rho)*g^2
//   d      = sqrt(u + eps) / sqrt(v + eps) * g;  then u <- rho*u + (1-rho)*d^2
//   p     <- p - lr*d
//
// Zeiler 2012, Algorithm 1; lr as torch.optim.Adadelta. Both eps are inside the roots.
fn update(old: Element) -> Element {
    var e = old;
    let g = fma(vec4(e.weight_decay), e.p, e.g);
    e.v = average_square(e.v, at.one_minus_rho, g);
    let d = sqrt(e.u + settings.eps) / sqrt(e.v + settings.eps) * g;
    e.u = average_square(e.u, at.one_minus_rho, d);
    e.p = fma(vec4(-at.lr), d, e.p);
    return e;
}
