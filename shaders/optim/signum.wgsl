//! source = "mxnet.optimizer.Signum; Bernstein, Wang, Azizzadenesheli, Anandkumar 2018"
//! state = { m = {} }
//! [settings]
//! lr = { default = 0.01, min = 0, doc = "the learning rate" }
//! momentum = { default = 0.9, min = 0, below = 1, doc = "the decay of the momentum; 0 is signSGD" }
//! weight_decay = { default = 0.0, min = 0, doc = "the decay, as wd_mode says" }
//! wd_mode = { words = ["l2", "decoupled"], doc = "an L2 penalty, added to the gradient, or decay by lr * weight_decay" }
//! [scalars]
//! one_minus_momentum = "1 - momentum"
// Signum: steps along the sign of the momentum.
//
//   g     <- g + weight_decay*p, decoupled: p <- p * (1 - lr*weight_decay)
//   m     <- momentum*m + (1-momentum)*g
//   p     <- p - lr * sign(m)
//
// Bernstein et al. 2018 (arXiv 1802.04434), Algorithm 2, as mxnet.optimizer.Signum, which its authors' experiments use: wd is
// weight_decay with wd_mode=l2, wd_lh with wd_mode=decoupled. sign(0) = 0.
fn update(old: Element) -> Element {
    var e = old;
    var g = e.g;
    if WD_MODE_L2 {
        g = fma(vec4(e.weight_decay), e.p, g);
    } else {
        e.p = fma(vec4(-at.lr * e.weight_decay), e.p, e.p);
    }
    e.m = average(e.m, at.one_minus_momentum, g);
    e.p = fma(vec4(-at.lr), sign(e.m), e.p);
    return e;
}
