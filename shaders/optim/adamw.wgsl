//! source = "torch.optim.AdamW; Loshchilov, Hutter 2019"
//! state = { m = {}, v = {}, v_max = { if = "amsgrad" } }
//! [settings]
//! lr = { default = 1e-3, min = 0, doc = "the learning rate" }
//! beta1 = { default = 0.9, min = 0, below = 1, doc = "the decay of the first moment" }
//! beta2 = { default = 0.999, min = 0, below = 1, doc = "the decay of the second moment" }
//! eps = { default = 1e-8, above = 0, doc = "what is added to the root in the denominator" }
//! weight_decay = { default = 0.01, min = 0, doc = "the decoupled decay, by lr * weight_decay" }
//! amsgrad = { default = false, doc = "division by the largest second moment so far" }
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
//! first = "1 / (1 - beta1^t)"
//! root = "sqrt(1 / (1 - beta2^t))"
// AdamW: Adam whose decay acts on the parameter itself, before the step; AMSGRAD as in adam.wgsl.
//
//   p     <- p * (1 - lr*weight_decay)
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2;  v_max <- max(v_max, v)
//   p     <- p - lr * m/(1-beta1^t) / (sqrt(v)/sqrt(1-beta2^t) + eps)
//
// Loshchilov, Hutter 2019, Algorithm 2, in the order of torch.optim.AdamW.
fn update(old: Element) -> Element {
    var e = old;
    e.p = fma(vec4(-at.lr * e.weight_decay), e.p, e.p);
    e.m = average(e.m, at.one_minus_beta1, e.g);
    e.v = average_square(e.v, at.one_minus_beta2, e.g);
    if AMSGRAD { e.v_max = max(e.v_max, e.v); }
    let root = sqrt(select(e.v, e.v_max, AMSGRAD));
    e.p = fma(vec4(-at.lr * at.first), e.m / fma(root, vec4(at.root), vec4(settings.eps)), e.p);
    return e;
}
