//! source = "timm.optim.Lars 1.0; You, Gitman, Ginsburg 2017"
//! state = { momentum_buffer = { if = "momentum != 0" } }
//! measure = { over = "tensor" }
//! [settings]
//! lr = { default = 1.0, min = 0, doc = "the learning rate" }
//! momentum = { default = 0.0, min = 0, doc = "the factor of the momentum buffer" }
//! dampening = { default = 0.0, min = 0, max = 1, doc = "1 minus the factor of a new gradient in the buffer" }
//! weight_decay = { default = 0.0, min = 0, doc = "the L2 penalty, added to the gradient" }
//! nesterov = { default = false, doc = "Nesterov's look ahead" }
//! trust_coeff = { default = 0.001, min = 0, doc = "the share of a tensor's norm that a step may have" }
//! eps = { default = 1e-8, above = 0, doc = "what is added to the gradient's norm" }
//! trust_clip = { default = false, doc = "a rate of at most lr, as LARC" }
//! always_adapt = { default = false, doc = "a rate per tensor without weight decay too" }
//! [constants]
//! MOMENTUM = "momentum != 0"
//! [[require]]
//! that = "not nesterov or (momentum > 0 and dampening == 0)"
//! otherwise = "nesterov=true needs momentum above 0 and dampening=0: give 'momentum' a value above 0, as 0.9"
//! [scalars]
//! begins = "t == 1"
// LARS: SGD with momentum whose rate is in each tensor follows the ratio of ||p|| to ||g||.
//
//   ratio  = trust_coeff * ||p|| / (||g|| + weight_decay*||p|| + eps), 1 where a norm is 0;  TRUST_CLIP: min(ratio/lr, 1), 1 at lr = 0
//   d      = ratio * (g + weight_decay*p);  d = g in a tensor without weight decay unless ALWAYS_ADAPT
//   buf    = d at t = 1, else momentum*buf + (1-dampening)*d;  d = buf, or with NESTEROV d + momentum*buf
//   p     <- p - lr*d
//
// You, Gitman, Ginsburg 2017, Algorithm 1, in the order of timm.optim.Lars: the ratio is part of the momentum buffer.
fn measure(e: Element) -> vec3<f32> {
    return vec3(dot(e.p, e.p), dot(e.g, e.g), 0.0);
}

fn update(old: Element) -> Element {
    var e = old;
    let norms = sqrt(e.sums);
    var ratio = 1.0;
    if (ALWAYS_ADAPT || e.weight_decay != 0.0) && norms.x > 0.0 && norms.y > 0.0 {
        ratio = settings.trust_coeff * norms.x / (norms.y + norms.x * e.weight_decay + settings.eps);
    }
    if TRUST_CLIP && (ALWAYS_ADAPT || e.weight_decay != 0.0) { ratio = select(1.0, min(ratio / at.lr, 1.0), at.lr != 0.0); }
    var d = ratio * fma(vec4(e.weight_decay), e.p, e.g);
    if MOMENTUM {
        let buffer = fma(vec4(settings.momentum), e.momentum_buffer, (1.0 - settings.dampening) * d);
        e.momentum_buffer = select(buffer, d, at.begins != 0.0);
        d = select(e.momentum_buffer, fma(vec4(settings.momentum), e.momentum_buffer, d), NESTEROV);
    }
    e.p = fma(vec4(-at.lr), d, e.p);
    return e;
}
