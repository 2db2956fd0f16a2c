//! source = "apple/ml-ademamix; Pagliardini, Ablin, Grangier 2024, arXiv 2409.03137"
//! state = { m = {}, slow = {}, v = {} }
//! [settings]
//! lr = { default = 1e-3, min = 0, doc = "the learning rate" }
//! beta1 = { default = 0.9, min = 0, below = 1, doc = "the decay of the fast first moment" }
//! beta2 = { default = 0.999, min = 0, below = 1, doc = "the decay of the second moment" }
//! beta3 = { default = 0.9999, min = 0, below = 1, doc = "the decay of the slow first moment, after its warm-up" }
//! alpha = { default = 2.0, min = 0, doc = "the weight of the slow first moment, after its warm-up" }
//! beta3_warmup = { default = 0, whole = true, doc = "the updates over which the half-life of the slow moment rises; 0: none" }
//! alpha_warmup = { default = 0, whole = true, doc = "the updates over which alpha rises in a straight line; 0: none" }
//! eps = { default = 1e-8, above = 0, doc = "what is added to the root in the denominator" }
//! weight_decay = { default = 0.0, min = 0, doc = "the decoupled decay, by lr * weight_decay" }
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
//! first = "1 / (1 - beta1^t)"
//! root = "sqrt(1 / (1 - beta2^t))"
//! share = "t / beta3_warmup"
//! fast_life = "ln(0.5) / ln(beta1 + 1e-8) - 1"
//! slow_life = "ln(0.5) / ln(beta3 + 1e-8) - 1"
//! half_life = "(1 - share) * fast_life + share * slow_life"
//! one_minus_beta3 = "if(t < beta3_warmup, 1 - 0.5^(1 / (half_life + 1)), 1 - beta3)"
//! mix = "if(t < alpha_warmup, t / alpha_warmup * alpha, alpha)"
// AdEMAMix: AdamW with a second moving average of the gradient, over some ten thousand updates.
//
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2
//   slow  <- beta3_t*slow + (1-beta3_t)*g                                not corrected
//   p     <- p - lr * ((m/(1-beta1^t) + alpha_t*slow) / (sqrt(v)/sqrt(1-beta2^t) + eps) + weight_decay*p)
//
// alpha_t rises linearly; beta3_t rises from beta1 so that f(beta3_t) does, with f(b) = ln(1/2)/ln(b + 1e-8) - 1.
//
// Pagliardini, Ablin, Grangier 2024, Algorithm 1 and section 3.1, as the authors' pytorch/ademamix.py.
fn update(old: Element) -> Element {
    var e = old;
    e.m = average(e.m, at.one_minus_beta1, e.g);
    e.slow = average(e.slow, at.one_minus_beta3, e.g);
    e.v = average_square(e.v, at.one_minus_beta2, e.g);
    let d = fma(vec4(at.first), e.m, at.mix * e.slow) / fma(sqrt(e.v), vec4(at.root), vec4(settings.eps));
    e.p = fma(vec4(-at.lr), fma(vec4(e.weight_decay), e.p, d), e.p);
    return e;
}
