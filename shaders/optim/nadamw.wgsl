//! source = "timm.optim.NAdamW, mlcommons/algorithmic-efficiency; Dozat 2016, Choi et al. 2019"
//! state = { m = {}, v = {} }
//! [settings]
//! lr = { default = 1e-3, min = 0, doc = "the learning rate" }
//! beta1 = { default = 0.9, min = 0, below = 1, doc = "the decay of the first moment" }
//! beta2 = { default = 0.999, min = 0, below = 1, doc = "the decay of the second moment" }
//! eps = { default = 1e-8, above = 0, doc = "what is added to the root in the denominator" }
//! weight_decay = { default = 0.01, min = 0, doc = "the decoupled decay, by lr * weight_decay" }
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
//! first = "1 / (1 - beta1^t)"
//! root = "sqrt(1 / (1 - beta2^t))"
// NAdamW: AdamW whose step uses the first moment of the next update, as far as it is known (Nesterov's momentum).
//
//   p     <- p * (1 - lr*weight_decay)
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2
//   p     <- p - lr * (beta1*m + (1-beta1)*g)/(1-beta1^t) / (sqrt(v)/sqrt(1-beta2^t) + eps)
//
// Choi et al. 2019 (arXiv 1910.05446), table 1, with decoupled decay; as timm.optim.NAdamW and the baseline of MLCommons' algorithmic
// efficiency benchmark. torch.optim.NAdam (nadam.wgsl) has a momentum that rises with t, and another correction.
fn update(old: Element) -> Element {
    var e = old;
    e.p = fma(vec4(-at.lr * e.weight_decay), e.p, e.p);
    e.m = average(e.m, at.one_minus_beta1, e.g);
    e.v = average_square(e.v, at.one_minus_beta2, e.g);
    let ahead = average(e.m, at.one_minus_beta1, e.g);
    e.p = fma(vec4(-at.lr * at.first), ahead / fma(sqrt(e.v), vec4(at.root), vec4(settings.eps)), e.p);
    return e;
}
