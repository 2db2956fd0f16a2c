//! source = "Luo, Xiong, Liu, Sun 2019; Luolc/AdaBound"
//! state = { m = {}, v = {}, v_max = { if = "amsbound" } }
//! [settings]
//! lr = { default = 1e-3, min = 0, doc = "the learning rate" }
//! beta1 = { default = 0.9, min = 0, below = 1, doc = "the decay of the first moment" }
//! beta2 = { default = 0.999, min = 0, below = 1, doc = "the decay of the second moment" }
//! final_lr = { default = 0.1, min = 0, doc = "the rate that both bounds close on" }
//! gamma = { default = 1e-3, min = 0, below = 1, doc = "how fast the bounds close" }
//! eps = { default = 1e-8, above = 0, doc = "what is added to the root in the denominator" }
//! weight_decay = { default = 0.0, min = 0, doc = "the L2 penalty, added to the gradient" }
//! amsbound = { default = false, doc = "division by the largest second moment so far" }
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
//! final_ratio = "if(initial_lr == 0, 0, final_lr / initial_lr)"
//! size = "1 / (1 - beta1^t) / sqrt(1 / (1 - beta2^t))"
//! low = "1 - 1 / (gamma * t + 1)"
//! high = "min(1 + 1 / (gamma * t), 1e30)"
// AdaBound: Adam whose rate per element is clipped between two bounds that close on final_lr. L2 penalty.
//
//   g     <- g + weight_decay*p
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2;  v_max <- max(v_max, v)
//   f      = final_lr * lr/initial_lr;  low = f * (1 - 1/(gamma*t+1));  high = f * (1 + 1/(gamma*t))
//   p     <- p - clamp(lr * sqrt(1-beta2^t)/(1-beta1^t) / (sqrt(v) + eps), low, high) * m        amsbound: v_max for v
//
// Luo, Xiong, Liu, Sun 2019, Algorithm 2, and the authors' code: m has no bias correction outside the clamp. Here lr is taken
// out of the clamp: low and high are in units of lr. With gamma = 0 there is no upper bound; shaders have no infinity.
fn update(old: Element) -> Element {
    var e = old;
    let g = fma(vec4(e.weight_decay), e.p, e.g);
    e.m = average(e.m, at.one_minus_beta1, g);
    e.v = average_square(e.v, at.one_minus_beta2, g);
    if AMSBOUND { e.v_max = max(e.v_max, e.v); }
    let second = select(e.v, e.v_max, AMSBOUND);
    let low = vec4(at.final_ratio * at.low);
    let high = vec4(at.final_ratio * at.high);
    e.p = fma(-at.lr * clamp(at.size / (sqrt(second) + settings.eps), low, high), e.m, e.p);
    return e;
}
