//! source = "mine"
//!
//! # What can be set with --set KEY=VALUE. A number has a default and may have ends: min or above, max or below. `lr` must be there.
//! [settings]
//! lr           = { default = 1e-3, min = 0, doc = "the learning rate" }
//! beta1        = { default = 0.9, min = 0, below = 1, doc = "the decay of the first moment" }
//! beta2        = { default = 0.999, min = 0, below = 1, doc = "the decay of the second moment" }
//! eps          = { default = 1e-8, above = 0, doc = "what is added to the root in the denominator" }
//! weight_decay = { default = 0.01, min = 0, doc = "the decoupled decay, by lr * weight_decay" }
//! # true or false: the constant NESTEROV in the WGSL. A choice, words = ["a", "b"], would be a constant per word.
//! nesterov     = { default = false, doc = "the first moment of the next update in the step" }
//!
//! # What the rule remembers of each parameter, at most four; it starts at zero, or with start = "params" as a copy of the parameter.
//! [state]
//! m = {}
//! v = {}
//! # largest = { if = "nesterov" } would be there with that setting alone.
//!
//! # Numbers that the host computes in f64 for each update; t is 1 in the first. Those without t are computed once.
//! [scalars]
//! one_minus_beta1 = "1 - beta1"
//! one_minus_beta2 = "1 - beta2"
//! first           = "1 / (1 - beta1^t)"
//! root            = "sqrt(1 / (1 - beta2^t))"

// The rule. An element is four parameters at a time: e.p, their gradients e.g, and what [state] declares, each a vec4<f32>.
// e.weight_decay is the setting, or 0 in a tensor that --no-decay leaves out. at.lr is the rate of this update, at.NAME a scalar,
// settings.NAME a number among the settings. average(b, 1 - beta, x) is beta*b + (1-beta)*x, average_square the same of x^2.
fn update(old: Element) -> Element {
    var e = old;
    e.p -= at.lr * e.weight_decay * e.p;
    e.m = average(e.m, at.one_minus_beta1, e.g);
    e.v = average_square(e.v, at.one_minus_beta2, e.g);
    var direction = e.m;
    if NESTEROV {
        direction = average(e.m, at.one_minus_beta1, e.g);
    }
    e.p -= at.lr * at.first * direction / (sqrt(e.v) * at.root + settings.eps);
    return e;
}
