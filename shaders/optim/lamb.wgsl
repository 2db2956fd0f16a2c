//! source = "timm.optim.Lamb; You et al. 2020, arXiv 1904.00962"
//! state = { m = {}, v = {} }
//! measure = { over = "tensor" }
//! [settings]
//! lr = { default = 1e-3, min = 0, doc = "the learning rate" }
//! beta1 = { default = 0.9, min = 0, below = 1, doc = "the decay of the first moment" }
//! beta2 = { default = 0.999, min = 0, below = 1, doc = "the decay of the second moment" }
//! eps = { default = 1e-6, above = 0, doc = "what is added to the root in the denominator" }
//! weight_decay = { default = 0.01, min = 0, doc = "the decay, a part of the step before its norm is taken" }
//! bias_correction = { default = true, doc = "the corrected moments in the step" }
//! grad_averaging = { default = true, doc = "the share 1 - beta1 of a gradient in the first moment, not the whole" }
//! trust_clip = { default = false, doc = "a rate of at most lr" }
//! always_adapt = { default = false, doc = "a rate per tensor without weight decay too" }
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
//! first = "if(bias_correction, 1 / (1 - beta1^t), 1)"
//! root = "if(bias_correction, sqrt(1 / (1 - beta2^t)), 1)"
// LAMB: Adam whose step is scaled to the norm of the tensor that it changes.
//
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2        without grad_averaging m <- beta1*m + g
//   u      = m/(1-beta1^t) / (sqrt(v)/sqrt(1-beta2^t) + eps) + weight_decay*p
//   ratio  = ||p|| / ||u||, 1 where a norm is 0;  TRUST_CLIP: at most 1;  1 without weight decay unless ALWAYS_ADAPT
//   p     <- p - lr*ratio*u
//
// You et al. 2020, Algorithm 2, as timm.optim.Lamb with max_grad_norm=None: clipping the gradient is not part of the rule.
fn moments(old: Element) -> Element {
    var e = old;
    e.m = select(fma(vec4(settings.beta1), e.m, e.g), average(e.m, at.one_minus_beta1, e.g), GRAD_AVERAGING);
    e.v = average_square(e.v, at.one_minus_beta2, e.g);
    return e;
}

fn step_of(e: Element) -> vec4<f32> {
    let adam = at.first * e.m / fma(sqrt(e.v), vec4(at.root), vec4(settings.eps));
    return fma(vec4(e.weight_decay), e.p, adam);
}

fn measure(e: Element) -> vec3<f32> {
    let u = step_of(moments(e));
    return vec3(dot(e.p, e.p), dot(u, u), 0.0);
}

fn update(old: Element) -> Element {
    var e = moments(old);
    let norms = sqrt(e.sums);
    var ratio = 1.0;
    if (ALWAYS_ADAPT || e.weight_decay != 0.0) && norms.x > 0.0 && norms.y > 0.0 {
        ratio = norms.x / norms.y;
        if TRUST_CLIP { ratio = min(ratio, 1.0); }
    }
    e.p = fma(vec4(-at.lr * ratio), step_of(e), e.p);
    return e;
}
