//! source = "adabelief_pytorch 0.2.1; Zhuang et al. 2020"
//! state = { m = {}, s = {}, s_max = { if = "LARGEST" } }
//! [settings]
//! lr = { default = 1e-3, min = 0, doc = "the learning rate" }
//! beta1 = { default = 0.9, min = 0, below = 1, doc = "the decay of the first moment" }
//! beta2 = { default = 0.999, min = 0, below = 1, doc = "the decay of the squared distance from the mean" }
//! eps = { default = 1e-16, above = 0, doc = "what is added to the root, and to the state under it at every update" }
//! weight_decay = { default = 0.0, min = 0, doc = "the decay, as wd_mode says" }
//! wd_mode = { words = ["decoupled", "fixed", "l2"], doc = "decay by lr * weight_decay, by weight_decay, or an L2 penalty" }
//! rectify = { default = false, doc = "RAdam's rectification" }
//! amsgrad = { default = false, doc = "division by the largest second moment so far; a rectified step does not read it" }
//! [constants]
//! LARGEST = "amsgrad and not rectify"
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
//! first = "1 / (1 - beta1^t)"
//! second = "1 / (1 - beta2^t)"
//! rho_inf = "2 / (1 - beta2) - 1"
//! rho = "rho_inf - 2 * t * (second - 1)"
//! r = "sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))"
//! rate = "if(rectify and rho >= 5, first * r / sqrt(second), first)"
//! root = "if(rectify, 1, sqrt(second))"
//! unscaled = "rectify and rho < 5"
// AdaBelief: Adam that divides by how far the gradient is from its mean.
//
//   decay: p <- p * (1 - lr*weight_decay), fixed: p <- p * (1 - weight_decay), l2: g <- g + weight_decay*p
//   m     <- beta1*m + (1-beta1)*g
//   s     <- beta2*s + (1-beta2)*(g-m)^2 + eps;  s_max <- max(s_max, s)           the new m; eps stays in s
//   p     <- p - lr * m/(1-beta1^t) / (sqrt(s)/sqrt(1-beta2^t) + eps)             amsgrad: s_max for s
//
// With rectify, RAdam's factor r (radam.wgsl) once rho >= 5, with sqrt(s) + eps; before that the denominator is 1.
//
// Zhuang et al. 2020, Algorithm 2, and adabelief_pytorch 0.2.1. g - m is computed as beta1*(g - m_old), which is more exact.
fn update(old: Element) -> Element {
    var e = old;
    var g = e.g;
    if WD_MODE_L2 {
        g = fma(vec4(e.weight_decay), e.p, g);
    } else {
        e.p = fma(vec4(-e.weight_decay * select(at.lr, 1.0, WD_MODE_FIXED)), e.p, e.p);
    }
    e.m = average(old.m, at.one_minus_beta1, g);
    e.s = average_square(e.s, at.one_minus_beta2, settings.beta1 * (g - old.m)) + settings.eps;
    if LARGEST { e.s_max = max(e.s_max, e.s); }
    let root = fma(sqrt(select(e.s, e.s_max, LARGEST)), vec4(at.root), vec4(settings.eps));
    e.p = fma(vec4(-at.lr * at.rate), e.m / select(root, vec4(1.0), at.unscaled != 0.0), e.p);
    return e;
}
