//! Rules that use the gradient, its squares or its sign: SGD and its descendants.

use super::{
    super::element::{Measure, Step, Update},
    along_sign, decay, ema,
};

/// ```text
/// d       = g + weight_decay theta
/// buffer <- d at t = 1, else momentum buffer + (1 - dampening) d
/// theta  <- theta - lr buffer            nesterov: theta - lr (d + momentum buffer); without momentum: theta - lr d
/// ```
pub fn sgd(at: &Update<'_>) -> Step {
    let weight_decay = at.number("weight_decay");
    let momentum = with_momentum(at);
    let lr = at.lr;
    Box::new(move |e| {
        let d = e.g + weight_decay * *e.theta;
        *e.theta -= lr * momentum(&mut e.state[0], d);
    })
}

fn with_momentum(at: &Update<'_>) -> impl Fn(&mut f64, f64) -> f64 + use<> {
    let [momentum, dampening] = at.numbers(["momentum", "dampening"]);
    let (nesterov, first) = (at.flag("nesterov"), at.t == 1.0);
    move |buffer, d| {
        if momentum == 0.0 {
            return d;
        }
        *buffer = if first { d } else { momentum * *buffer + (1.0 - dampening) * d };
        if nesterov { d + momentum * *buffer } else { *buffer }
    }
}

/// ```text
/// g      <- g + weight_decay theta
/// v      <- ema(alpha, g^2);   mean <- ema(alpha, g)
/// buffer <- momentum buffer + g / (sqrt(v) + eps)                                   centered: v - mean^2 for v
/// theta  <- theta - lr buffer
/// ```
pub fn rmsprop(at: &Update<'_>) -> Step {
    let [alpha, eps, weight_decay, momentum] = at.numbers(["alpha", "eps", "weight_decay", "momentum"]);
    let (centered, lr) = (at.flag("centered"), at.lr);
    Box::new(move |e| {
        let [v, mean, buffer, _] = e.state;
        let g = e.g + weight_decay * *e.theta;
        ema(v, alpha, g * g);
        ema(mean, alpha, g);
        // For a constant gradient, rounding may make the difference negative.
        let second = if centered { (*v - *mean * *mean).max(0.0) } else { *v };
        *buffer = momentum * *buffer + g / (second.sqrt() + eps);
        *e.theta -= lr * *buffer;
    })
}

/// ```text
/// g     <- g + weight_decay theta
/// sum   <- sum + g^2                                        starts at initial_accumulator_value
/// theta <- theta - lr / (1 + (t - 1) lr_decay) g / (sqrt(sum) + eps)
/// ```
pub fn adagrad(at: &Update<'_>) -> Step {
    let [lr_decay, weight_decay, initial, eps] =
        at.numbers(["lr_decay", "weight_decay", "initial_accumulator_value", "eps"]);
    let (rate, first) = (at.lr / (1.0 + (at.t - 1.0) * lr_decay), at.t == 1.0);
    Box::new(move |e| {
        let (sum, g) = (&mut e.state[0], e.g + weight_decay * *e.theta);
        *sum = if first { initial } else { *sum } + g * g;
        *e.theta -= rate * g / (sum.sqrt() + eps);
    })
}

/// ```text
/// g     <- g + weight_decay theta
/// v     <- ema(rho, g^2)
/// d      = sqrt(u + eps) / sqrt(v + eps) g
/// u     <- ema(rho, d^2)
/// theta <- theta - lr d
/// ```
pub fn adadelta(at: &Update<'_>) -> Step {
    let ([rho, eps, weight_decay], lr) = (at.numbers(["rho", "eps", "weight_decay"]), at.lr);
    Box::new(move |e| {
        let [v, u, ..] = e.state;
        let g = e.g + weight_decay * *e.theta;
        ema(v, rho, g * g);
        let d = (*u + eps).sqrt() / (*v + eps).sqrt() * g;
        ema(u, rho, d * d);
        *e.theta -= lr * d;
    })
}

/// ```text
/// theta <- theta (1 - lr weight_decay)
/// theta <- theta - lr sign(beta1 m + (1 - beta1) g)
/// m     <- ema(beta2, g)
/// ```
pub fn lion(at: &Update<'_>) -> Step {
    let ([beta1, beta2, weight_decay], lr) = (at.numbers(["beta1", "beta2", "weight_decay"]), at.lr);
    Box::new(move |e| {
        decay(e.theta, lr * weight_decay);
        along_sign(e, lr, &[beta1 * e.state[0], (1.0 - beta1) * e.g]);
        ema(&mut e.state[0], beta2, e.g);
    })
}

/// ```text
/// g     <- g + weight_decay theta          wd_mode=decoupled: theta <- theta (1 - lr weight_decay) instead
/// m     <- ema(momentum, g)
/// theta <- theta - lr sign(m)
/// ```
pub fn signum(at: &Update<'_>) -> Step {
    let ([momentum, weight_decay], lr) = (at.numbers(["momentum", "weight_decay"]), at.lr);
    let decoupled = at.is("wd_mode", "decoupled");
    Box::new(move |e| {
        let mut g = e.g;
        match decoupled {
            true => decay(e.theta, lr * weight_decay),
            false => g += weight_decay * *e.theta,
        }
        let parts = [momentum * e.state[0], (1.0 - momentum) * g];
        along_sign(e, lr, &parts);
        e.state[0] = parts[0] + parts[1];
    })
}

/// ```text
/// ratio = trust_coeff ||theta|| / (||g|| + weight_decay ||theta|| + eps)      1 where a norm is 0
/// ratio = min(ratio / lr, 1)                                                  with trust_clip; 1 where lr is 0
/// d     = ratio (g + weight_decay theta)
/// ```
///
/// The norms are over the tensor. Without weight decay the ratio is 1, unless always_adapt is set. The rest is [`sgd`]
/// from d on.
pub fn lars(at: &Update<'_>) -> Step {
    let ([weight_decay, trust, eps], lr) = (at.numbers(["weight_decay", "trust_coeff", "eps"]), at.lr);
    let (adapts, clips) = (weight_decay != 0.0 || at.flag("always_adapt"), at.flag("trust_clip"));
    let momentum = with_momentum(at);
    Box::new(move |e| {
        let [theta, g] = e.sums.map(f64::sqrt);
        let mut ratio = 1.0;
        if adapts && theta > 0.0 && g > 0.0 {
            ratio = trust * theta / (g + theta * weight_decay + eps);
        }
        if adapts && clips {
            ratio = if lr > 0.0 { (ratio / lr).min(1.0) } else { 1.0 };
        }
        *e.theta -= lr * momentum(&mut e.state[0], ratio * (e.g + weight_decay * *e.theta));
    })
}

pub fn lars_measure(_: &Update<'_>) -> Measure {
    Box::new(|theta, g, _| [theta * theta, g * g])
}
