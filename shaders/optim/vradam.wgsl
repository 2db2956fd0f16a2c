//! source = "Velocity-Regularized Adam, arXiv 2505.13196; pranavjv/vradam"
//! state = { m = {}, v = {} }
//! measure = { over = "all" }
//! [settings]
//! lr = { default = 1e-3, min = 0, doc = "the learning rate at rest" }
//! beta1 = { default = 0.9, min = 0, below = 1, doc = "the decay of the first moment" }
//! beta2 = { default = 0.999, min = 0, below = 1, doc = "the decay of the second moment" }
//! beta3 = { default = 1.0, min = 0, doc = "how much the squared norm lowers the rate; 0 is AdamW" }
//! alpha1 = { default = 10.0, min = 0, doc = "the most that it does: the rate is at least lr / (1 + alpha1)" }
//! eps = { default = 1e-8, above = 0, doc = "what is added to the root in the denominator" }
//! weight_decay = { default = 1e-5, min = 0, doc = "the decoupled decay, by the lowered rate" }
//! norm_of = { words = ["velocity", "grad"], doc = "what the norm is of: the first moment, or the gradient" }
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
//! first = "1 / (1 - beta1^t)"
//! second = "1 / (1 - beta2^t)"
// VRAdam: AdamW whose rate falls as the velocity grows.
//
//   m     <- beta1*m + (1-beta1)*g;  v <- beta2*v + (1-beta2)*g^2
//   eta    = lr / (1 + min(beta3 * ||m||^2, alpha1))                     the norm over all tensors; norm_of=grad: ||g||^2
//   p     <- p * (1 - eta*weight_decay)
//   p     <- p - eta * m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + eps)
//
// Velocity-Regularized Adam (arXiv 2505.13196), Algorithm 1; pranavjv/vradam. The published CIFAR-10 setting is lr=0.0846
// beta3=1.015 alpha1=29.
fn measure(e: Element) -> vec3<f32> {
    let m = average(e.m, at.one_minus_beta1, e.g); // the m of this update
    let x = select(m, e.g, NORM_OF_GRAD);
    return vec3(dot(x, x), 0.0, 0.0);
}

fn update(old: Element) -> Element {
    var e = old;
    let eta = at.lr / (1.0 + min(settings.beta3 * e.sums.x, settings.alpha1));
    e.m = average(e.m, at.one_minus_beta1, e.g);
    e.v = average_square(e.v, at.one_minus_beta2, e.g);
    e.p = fma(vec4(-eta * e.weight_decay), e.p, e.p);
    e.p = fma(vec4(-eta * at.first), e.m / (sqrt(e.v * at.second) + settings.eps), e.p);
    return e;
}
