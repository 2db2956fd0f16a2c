//! source = "torch.optim.Adagrad; Duchi, Hazan, Singer 2011"
//! state = { sum = {} }
//! [settings]
//! lr = { default = 1e-2, min = 0, doc = "the learning rate" }
//! lr_decay = { default = 0.0, min = 0, doc = "how fast the rate falls: lr / (1 + (t-1) * lr_decay)" }
//! weight_decay = { default = 0.0, min = 0, doc = "the L2 penalty, added to the gradient" }
//! initial_accumulator_value = { default = 0.0, min = 0, doc = "what the sum of squares starts from" }
//! eps = { default = 1e-10, above = 0, doc = "what is added to the root in the denominator" }
//! [scalars]
//! rate = "1 / (1 + (t - 1) * lr_decay)"
//! first = "t == 1"
// Adagrad with an L2 penalty.
//
//   g     <- g + weight_decay*p
//   sum   <- sum + g^2;  it starts at initial_accumulator_value
//   p     <- p - lr/(1 + (t-1)*lr_decay) * g / (sqrt(sum) + eps)
//
// Duchi, Hazan, Singer 2011, the diagonal form; as torch.optim.Adagrad.
fn update(old: Element) -> Element {
    var e = old;
    let g = fma(vec4(e.weight_decay), e.p, e.g);
    e.sum = fma(g, g, select(e.sum, vec4(settings.initial_accumulator_value), at.first != 0.0));
    e.p = fma(vec4(-at.lr * at.rate), g / (sqrt(e.sum) + settings.eps), e.p);
    return e;
}
