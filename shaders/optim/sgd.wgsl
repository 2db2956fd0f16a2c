//! source = "torch.optim.SGD; Sutskever, Martens, Dahl, Hinton 2013"
//! state = { momentum_buffer = { if = "momentum != 0" } }
//! [settings]
//! lr = { default = 1e-3, min = 0, doc = "the learning rate" }
//! momentum = { default = 0.0, min = 0, doc = "the factor of the momentum buffer" }
//! dampening = { default = 0.0, min = 0, max = 1, doc = "1 minus the factor of a new gradient in the buffer" }
//! weight_decay = { default = 0.0, min = 0, doc = "the L2 penalty, added to the gradient" }
//! nesterov = { default = false, doc = "Nesterov's look ahead" }
//! [constants]
//! MOMENTUM = "momentum != 0"
//! [[require]]
//! that = "not nesterov or (momentum > 0 and dampening == 0)"
//! otherwise = "nesterov=true needs momentum above 0 and dampening=0: give 'momentum' a value above 0, as 0.9"
//! [scalars]
//! first = "t == 1"
// d = g + weight_decay * p;  buf = d at t = 1, else momentum * buf + (1 - dampening) * d;  d = buf, or with NESTEROV
// d + momentum * buf;  p -= lr * d. torch.optim.SGD; Sutskever et al. 2013.
fn update(old: Element) -> Element {
    var e = old;
    var d = fma(vec4(e.weight_decay), e.p, e.g);
    if MOMENTUM {
        let buffer = fma(vec4(settings.momentum), e.momentum_buffer, (1.0 - settings.dampening) * d);
        e.momentum_buffer = select(buffer, d, at.first != 0.0);
        d = select(e.momentum_buffer, fma(vec4(settings.momentum), e.momentum_buffer, d), NESTEROV);
    }
    e.p = fma(vec4(-at.lr), d, e.p);
    return e;
}
