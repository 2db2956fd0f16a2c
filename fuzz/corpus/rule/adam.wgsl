//! source = "torch.optim.Adam; Kingma, Ba 2015"
//! state = { m = {}, v = {}, v_max = { if = "amsgrad" } }
//! [settings]
//! lr = { default = 1e-3, min = 0, doc = "the learning rate" }
//! beta1 = { default = 0.9, min = 0, below = 1, doc = "the decay of the first moment" }
//! beta2 = { default = 0.999, min = 0, below = 1, doc = "the decay of the second moment" }
//! eps = { default = 1e-8, above = 0, doc = "what is added to the root in the denominator" }
//! weight_decay = { default = 0.0, min = 0, doc = "the L2 penalty, added to the gradient" }
//! amsgrad = { default = false, doc = "division by the largest second moment so far" }
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
//! first = "1 / (1 - beta1^t)"
//! root = "sqrt(1 / (1 - beta2^t))"
// Adam with an L2 penalty; with AMSGRAD the largest v so far takes v's place in the step.
//
//   g     <- g + weight_decay*p
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2;  v_max <- max(v_max, v)
//   p     <- p - lr * m/(1-beta1^t) / (sqrt(v)/sqrt(1-beta2^t) + eps)
//
// Kingma, Ba 2015, Algorithm 1; AMSGrad: Reddi, Kale, Kumar 2018, on the uncorrected v as torch.optim.Adam.
fn update(old: Element) -> Element {
    var e = old;
    let g = fma(vec4(e.weight_decay), e.p, e.g);
    e.m = average(e.m, at.one_minus_beta1, g);
    e.v = average_square(e.v, at.one_minus_beta2, g);
    if AMSGRAD { e.v_max = max(e.v_max, e.v); }
    let root = sqrt(select(e.v, e.v_max, AMSGRAD));
    e.p = fma(vec4(-at.lr * at.first), e.m / fma(root, vec4(at.root), vec4(settings.eps)), e.p);
    return e;
}
