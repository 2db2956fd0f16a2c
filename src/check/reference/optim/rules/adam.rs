//! Adam, and the rules that change its step, its rate or its momentum.

use super::{
    super::element::{Element, Measure, Step, Update},
    decay, ema,
};

/// ```text
/// g     <- g + weight_decay theta
/// m     <- ema(beta1, g);   v <- ema(beta2, g^2);   v_max <- max(v_max, v)
/// theta <- theta - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)       amsgrad: v_max for v
/// ```
pub fn adam(at: &Update<'_>) -> Step {
    let weight_decay = at.number("weight_decay");
    let step = adam_step(at);
    Box::new(move |e| {
        let g = e.g + weight_decay * *e.theta;
        step(e, g);
    })
}

/// As [`adam`], but with `theta <- theta (1 - lr weight_decay)` before the step instead of the L2 penalty.
pub fn adamw(at: &Update<'_>) -> Step {
    let by = at.lr * at.number("weight_decay");
    let step = adam_step(at);
    Box::new(move |e| {
        decay(e.theta, by);
        step(e, e.g);
    })
}

fn adam_step(at: &Update<'_>) -> impl Fn(&mut Element<'_>, f64) + use<> {
    let ([beta1, beta2, eps], amsgrad, lr) = (at.numbers(["beta1", "beta2", "eps"]), at.flag("amsgrad"), at.lr);
    let (correction1, correction2) = (at.correction(beta1), at.correction(beta2));
    move |e, g| {
        let [m, v, v_max, _] = e.state;
        ema(m, beta1, g);
        ema(v, beta2, g * g);
        *v_max = v_max.max(*v);
        let second = if amsgrad { *v_max } else { *v };
        *e.theta -= lr / correction1 * *m / (second.sqrt() / correction2.sqrt() + eps);
    }
}

/// As [`adamw`], with `beta1 m + (1 - beta1) g` in place of m in the step.
pub fn nadamw(at: &Update<'_>) -> Step {
    let [beta1, beta2, eps, weight_decay] = at.numbers(["beta1", "beta2", "eps", "weight_decay"]);
    let (correction1, correction2, lr) = (at.correction(beta1), at.correction(beta2), at.lr);
    Box::new(move |e| {
        let [m, v, ..] = e.state;
        decay(e.theta, lr * weight_decay);
        ema(m, beta1, e.g);
        ema(v, beta2, e.g * e.g);
        let ahead = beta1 * *m + (1.0 - beta1) * e.g;
        *e.theta -= lr / correction1 * ahead / (v.sqrt() / correction2.sqrt() + eps);
    })
}

/// ```text
/// g     <- g + weight_decay theta        decoupled_weight_decay: theta <- theta (1 - lr weight_decay) instead
/// m     <- ema(beta1, g);   v <- ema(beta2, g^2)
/// mu_t   = beta1 (1 - 0.5 0.96^(t momentum_decay));   P = mu_1 mu_2 ... mu_t
/// d      = sqrt(v / (1 - beta2^t)) + eps
/// theta <- theta - lr (1 - mu_t) / (1 - P) g / d - lr mu_(t+1) / (1 - P mu_(t+1)) m / d
/// ```
pub fn nadam(at: &Update<'_>) -> Step {
    let [beta1, beta2, eps, weight_decay, psi] =
        at.numbers(["beta1", "beta2", "eps", "weight_decay", "momentum_decay"]);
    let (decoupled, lr, correction2) = (at.flag("decoupled_weight_decay"), at.lr, at.correction(beta2));
    let mu = |t: f64| beta1 * (1.0 - 0.5 * 0.96_f64.powf(t * psi));
    let (now, next) = (mu(at.t), mu(at.t + 1.0));
    let product = if at.t == 1.0 { 1.0 } else { at.kept.get() } * now;
    at.kept.set(product);
    Box::new(move |e| {
        let [m, v, ..] = e.state;
        let mut g = e.g;
        match decoupled {
            true => decay(e.theta, lr * weight_decay),
            false => g += weight_decay * *e.theta,
        }
        ema(m, beta1, g);
        ema(v, beta2, g * g);
        let root = (*v / correction2).sqrt() + eps;
        *e.theta -= lr * (1.0 - now) / (1.0 - product) * g / root;
        *e.theta -= lr * next / (1.0 - product * next) * *m / root;
    })
}

/// rho and r of RAdam (Liu et al. 2020):
///
/// ```text
/// rho_inf = 2 / (1 - beta2) - 1
/// rho     = rho_inf - 2 t beta2^t / (1 - beta2^t)
/// r       = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))
/// ```
pub fn rectification(at: &Update<'_>, beta2: f64) -> (f64, f64) {
    let longest = 2.0 / (1.0 - beta2) - 1.0;
    let rho = longest - 2.0 * at.t * beta2.powf(at.t) / at.correction(beta2);
    let r = (rho - 4.0) * (rho - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * rho);
    (rho, r.sqrt())
}

/// ```text
/// g     <- g + weight_decay theta        decoupled_weight_decay: theta <- theta (1 - lr weight_decay) instead
/// m     <- ema(beta1, g);   v <- ema(beta2, g^2)
/// theta <- theta - lr r sqrt(1 - beta2^t) m / (1 - beta1^t) / (sqrt(v) + eps)       where rho > 5
/// theta <- theta - lr m / (1 - beta1^t)                                             else
/// ```
pub fn radam(at: &Update<'_>) -> Step {
    let [beta1, beta2, eps, weight_decay] = at.numbers(["beta1", "beta2", "eps", "weight_decay"]);
    let (decoupled, lr, (rho, r)) = (at.flag("decoupled_weight_decay"), at.lr, rectification(at, beta2));
    let (correction1, correction2) = (at.correction(beta1), at.correction(beta2));
    Box::new(move |e| {
        let [m, v, ..] = e.state;
        let mut g = e.g;
        match decoupled {
            true => decay(e.theta, lr * weight_decay),
            false => g += weight_decay * *e.theta,
        }
        ema(m, beta1, g);
        ema(v, beta2, g * g);
        let mean = *m / correction1;
        *e.theta -= if rho > 5.0 { lr * r * correction2.sqrt() * mean / (v.sqrt() + eps) } else { lr * mean };
    })
}

/// ```text
/// g     <- g + weight_decay theta
/// m     <- ema(beta1, g);   v <- ema(beta2, g^2);   v_max <- max(v_max, v)
/// f      = final_lr / first lr;   low = f (1 - 1 / (gamma t + 1));   high = f (1 + 1 / (gamma t))
/// theta <- theta - lr clamp(sqrt(1 - beta2^t) / (1 - beta1^t) / (sqrt(v) + eps), low, high) m
///                                                                                   amsbound: v_max for v
/// ```
///
/// The authors multiply all three arguments of the clamp by lr instead of its result. If lr and gamma are 0, that is 0
/// times infinity.
pub fn adabound(at: &Update<'_>) -> Step {
    let [beta1, beta2, final_lr, gamma, eps, weight_decay] =
        at.numbers(["beta1", "beta2", "final_lr", "gamma", "eps", "weight_decay"]);
    let (amsbound, size, lr) = (at.flag("amsbound"), at.correction(beta2).sqrt() / at.correction(beta1), at.lr);
    let end = if at.first_lr > 0.0 { final_lr / at.first_lr } else { 0.0 };
    let upper = (1.0 + 1.0 / (gamma * at.t)).min(f64::MAX);
    let (low, high) = (end * (1.0 - 1.0 / (gamma * at.t + 1.0)), end * upper);
    Box::new(move |e| {
        let [m, v, v_max, _] = e.state;
        let g = e.g + weight_decay * *e.theta;
        ema(m, beta1, g);
        ema(v, beta2, g * g);
        *v_max = v_max.max(*v);
        let second = if amsbound { *v_max } else { *v };
        *e.theta -= lr * (size / (second.sqrt() + eps)).clamp(low, high) * *m;
    })
}

/// ```text
/// m     <- ema(beta1, g);   v <- ema(beta2, g^2)
/// eta    = lr / (1 + min(beta3 ||m||^2, alpha1))       norm_of=grad: ||g||^2; both norms are over all tensors
/// theta <- theta (1 - eta weight_decay)
/// theta <- theta - eta m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
/// ```
pub fn vradam(at: &Update<'_>) -> Step {
    let [beta1, beta2, beta3, alpha1, eps, weight_decay] =
        at.numbers(["beta1", "beta2", "beta3", "alpha1", "eps", "weight_decay"]);
    let (correction1, correction2, lr) = (at.correction(beta1), at.correction(beta2), at.lr);
    Box::new(move |e| {
        let [m, v, ..] = e.state;
        ema(m, beta1, e.g);
        ema(v, beta2, e.g * e.g);
        let eta = lr / (1.0 + (beta3 * e.sums[0]).min(alpha1));
        decay(e.theta, eta * weight_decay);
        *e.theta -= eta * (*m / correction1) / ((*v / correction2).sqrt() + eps);
    })
}

pub fn vradam_measure(at: &Update<'_>) -> Measure {
    let (beta1, of_grad) = (at.number("beta1"), at.is("norm_of", "grad"));
    Box::new(move |_, g, state| {
        let mut m = state[0];
        ema(&mut m, beta1, g);
        [if of_grad { g * g } else { m * m }, 0.0]
    })
}

/// ```text
/// m     <- ema(beta1, g)                  without grad_averaging: m <- beta1 m + g
/// v     <- ema(beta2, g^2)
/// u      = m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + eps) + weight_decay theta
///                                         without bias_correction: m / (sqrt(v) + eps) + weight_decay theta
/// ratio  = ||theta|| / ||u||              1 where a norm is 0; trust_clip: at most 1
/// theta <- theta - lr ratio u
/// ```
///
/// The norms are over the tensor. Without weight decay the ratio is 1, unless always_adapt is set.
pub fn lamb(at: &Update<'_>) -> Step {
    let (direction, lr) = (lamb_direction(at), at.lr);
    let (adapts, clips) = (at.number("weight_decay") != 0.0 || at.flag("always_adapt"), at.flag("trust_clip"));
    Box::new(move |e| {
        let u = direction(*e.theta, e.g, e.state);
        let [theta, norm] = e.sums.map(f64::sqrt);
        let mut ratio = if adapts && theta > 0.0 && norm > 0.0 { theta / norm } else { 1.0 };
        if adapts && clips {
            ratio = ratio.min(1.0);
        }
        *e.theta -= lr * ratio * u;
    })
}

fn lamb_direction(at: &Update<'_>) -> impl Fn(f64, f64, &mut [f64; 4]) -> f64 + use<> {
    let [beta1, beta2, eps, weight_decay] = at.numbers(["beta1", "beta2", "eps", "weight_decay"]);
    let (averages, corrects) = (at.flag("grad_averaging"), at.flag("bias_correction"));
    let correction = |beta: f64| if corrects { at.correction(beta) } else { 1.0 };
    let (correction1, correction2) = (correction(beta1), correction(beta2));
    move |theta, g, [m, v, ..]| {
        match averages {
            true => ema(m, beta1, g),
            false => *m = beta1 * *m + g,
        }
        ema(v, beta2, g * g);
        *m / correction1 / (v.sqrt() / correction2.sqrt() + eps) + weight_decay * theta
    }
}

pub fn lamb_measure(at: &Update<'_>) -> Measure {
    let direction = lamb_direction(at);
    Box::new(move |theta, g, state| {
        let u = direction(theta, g, &mut state.clone());
        [theta * theta, u * u]
    })
}

/// ```text
/// m     <- ema(beta1, g);   v <- ema(beta2, g^2);   slow <- ema(beta3_t, g)
/// theta <- theta - lr ((m / (1 - beta1^t) + alpha_t slow) / (sqrt(v) / sqrt(1 - beta2^t) + eps) + weight_decay theta)
/// ```
///
/// alpha_t rises linearly from 0 to alpha over alpha_warmup updates. beta3_t rises from beta1 to beta3 over
/// beta3_warmup updates, such that `ln(1/2) / ln(beta3_t + 1e-8) - 1` rises linearly.
pub fn ademamix(at: &Update<'_>) -> Step {
    let [beta1, beta2, beta3, alpha, eps, weight_decay] =
        at.numbers(["beta1", "beta2", "beta3", "alpha", "eps", "weight_decay"]);
    let (correction1, correction2, lr) = (at.correction(beta1), at.correction(beta2), at.lr);
    let share = |key: &str| if at.t < at.number(key) { at.t / at.number(key) } else { 1.0 };
    let (alpha, warm) = (share("alpha_warmup") * alpha, share("beta3_warmup"));
    let f = |b: f64| 0.5_f64.ln() / (b + 1e-8).ln() - 1.0;
    let beta3 = if warm < 1.0 { 0.5_f64.powf(1.0 / ((1.0 - warm) * f(beta1) + warm * f(beta3) + 1.0)) } else { beta3 };
    Box::new(move |e| {
        let [m, v, slow, _] = e.state;
        ema(m, beta1, e.g);
        ema(v, beta2, e.g * e.g);
        ema(slow, beta3, e.g);
        let root = v.sqrt() / correction2.sqrt() + eps;
        *e.theta -= lr * ((*m / correction1 + alpha * *slow) / root + weight_decay * *e.theta);
    })
}
