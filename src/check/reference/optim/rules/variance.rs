//! Rules that divide by the gradient's variance or by its change, and rules that divide before they apply momentum.

use super::{
    super::element::{Step, Update},
    adam::rectification,
    decay, ema,
};

/// ```text
/// theta <- theta (1 - lr weight_decay)  wd_mode=fixed: theta (1 - weight_decay); l2: g <- g + weight_decay theta instead
/// m     <- ema(beta1, g);   s <- ema(beta2, (g - m)^2) + eps;   s_max <- max(s_max, s)
/// theta <- theta - lr / (1 - beta1^t) m / (sqrt(s) / sqrt(1 - beta2^t) + eps)       amsgrad: s_max for s
/// ```
///
/// With rectify, the step is that of [`radam`](super::adam::radam) with s for v, and is rectified where rho >= 5.
pub fn adabelief(at: &Update<'_>) -> Step {
    let [beta1, beta2, eps, weight_decay] = at.numbers(["beta1", "beta2", "eps", "weight_decay"]);
    let (rectify, amsgrad, lr, (rho, r)) = (at.flag("rectify"), at.flag("amsgrad"), at.lr, rectification(at, beta2));
    let (fixed, l2) = (at.is("wd_mode", "fixed"), at.is("wd_mode", "l2"));
    let (correction1, correction2) = (at.correction(beta1), at.correction(beta2));
    Box::new(move |e| {
        let [m, s, s_max, _] = e.state;
        let mut g = e.g;
        match l2 {
            true => g += weight_decay * *e.theta,
            false => decay(e.theta, weight_decay * if fixed { 1.0 } else { lr }),
        }
        ema(m, beta1, g);
        ema(s, beta2, (g - *m) * (g - *m));
        *s += eps;
        *s_max = s_max.max(*s);
        let mean = *m / correction1;
        *e.theta -= match (rectify, rho >= 5.0) {
            (false, _) => {
                let second = if amsgrad { *s_max } else { *s };
                lr * mean / (second.sqrt() / correction2.sqrt() + eps)
            }
            (true, true) => lr * r * correction2.sqrt() * mean / (s.sqrt() + eps),
            (true, false) => lr * mean,
        };
    })
}

/// ```text
/// v     <- ema(beta2, g^2);   z = g / (sqrt(v / (1 - beta2^t)) + eps)
/// theta <- theta (1 - lr weight_decay)
/// u     <- ema(beta1, z)
/// theta <- theta - lr / (1 - beta1^t) u
/// ```
///
/// The authors' code (official) does this after the first line:
///
/// ```text
/// q     <- ema(beta1, lr);   u <- ema(beta1, lr z)
/// theta <- theta - u lr / q                               theta - u where lr is 0
/// theta <- theta (1 - weight_decay)
/// ```
pub fn laprop(at: &Update<'_>) -> Step {
    let [beta1, beta2, eps, weight_decay] = at.numbers(["beta1", "beta2", "eps", "weight_decay"]);
    let (official, lr) = (at.flag("official"), at.lr);
    let (correction1, correction2) = (at.correction(beta1), at.correction(beta2));
    let mut average = at.kept.get();
    ema(&mut average, beta1, lr);
    at.kept.set(average);
    let official_correction = if lr == 0.0 { 1.0 } else { average / lr };
    Box::new(move |e| {
        let [v, u, ..] = e.state;
        ema(v, beta2, e.g * e.g);
        let z = e.g / ((*v / correction2).sqrt() + eps);
        if official {
            ema(u, beta1, lr * z);
            *e.theta -= *u / official_correction;
            decay(e.theta, weight_decay);
        } else {
            decay(e.theta, lr * weight_decay);
            ema(u, beta1, z);
            *e.theta -= lr / correction1 * *u;
        }
    })
}

/// ```text
/// g     <- g clip / ||g||                  where ||g|| > clip > 0; the norm is over all tensors
/// m     <- ema(beta1, g);   v <- ema(beta2, g^2);   s <- ema(beta3, (g - m)^2)
/// mh     = m / (1 - beta1^t);   vh = v / (1 - beta2^t);   sh = s / (1 - beta3^t)  without bias_corrected: mh = m
/// a      = lr (1 + sh / (vh + eps))^(-1/2) / sqrt(vh + eps)                       eps_mode=outside: / (sqrt(vh) + eps)
/// theta <- theta - a mh - weight_decay theta                                      wd_mode=decoupled: lr weight_decay
/// ```
pub fn amvt(at: &Update<'_>) -> Step {
    let [beta1, beta2, beta3, eps, weight_decay, clip] =
        at.numbers(["beta1", "beta2", "beta3", "eps", "weight_decay", "clip"]);
    let scale = if clip > 0.0 && at.norm > clip { clip / at.norm } else { 1.0 };
    let by = weight_decay * if at.is("wd_mode", "decoupled") { at.lr } else { 1.0 };
    let (outside, lr) = (at.is("eps_mode", "outside"), at.lr);
    let correction1 = if at.flag("bias_corrected") { at.correction(beta1) } else { 1.0 };
    let (correction2, correction3) = (at.correction(beta2), at.correction(beta3));
    Box::new(move |e| {
        let [m, v, s, _] = e.state;
        let g = scale * e.g;
        ema(m, beta1, g);
        ema(v, beta2, g * g);
        ema(s, beta3, (g - *m) * (g - *m));
        let (mean, v, s) = (*m / correction1, *v / correction2, *s / correction3);
        let root = if outside { v.sqrt() + eps } else { (v + eps).sqrt() };
        *e.theta = *e.theta - lr * (1.0 + s / (v + eps)).powf(-0.5) / root * mean - by * *e.theta;
    })
}

/// ```text
/// theta <- theta (1 - lr weight_decay)                    wd_mode=l2: g <- g + weight_decay theta instead
/// m     <- ema(beta1, g);   v <- ema(beta2, (g - m)^2) + eps_s
/// u     <- ema(beta1, g / (sqrt(v / (1 - beta2^t)) + eps))
/// theta <- theta - lr / (1 - beta1^t) u
/// ```
pub fn mvngrad(at: &Update<'_>) -> Step {
    let [beta1, beta2, eps, eps_s, weight_decay] = at.numbers(["beta1", "beta2", "eps", "eps_s", "weight_decay"]);
    let (l2, lr) = (at.is("wd_mode", "l2"), at.lr);
    let (correction1, correction2) = (at.correction(beta1), at.correction(beta2));
    Box::new(move |e| {
        let [m, v, u, _] = e.state;
        let mut g = e.g;
        match l2 {
            true => g += weight_decay * *e.theta,
            false => decay(e.theta, lr * weight_decay),
        }
        ema(m, beta1, g);
        ema(v, beta2, (g - *m) * (g - *m));
        *v += eps_s;
        ema(u, beta1, g / ((*v / correction2).sqrt() + eps));
        *e.theta -= lr / correction1 * *u;
    })
}

/// ```text
/// diff   = g - previous g, 0 at t = 1
/// m     <- ema(beta1, g);   d <- ema(beta2, diff);   n <- ema(beta3, (g + beta2 diff)^2)
/// theta <- theta - lr (m / (1 - beta1^t) + beta2 d / (1 - beta2^t)) / (sqrt(n) / sqrt(1 - beta3^t) + eps)
/// theta <- theta / (1 + lr weight_decay)                  no_prox: theta (1 - lr weight_decay) before the step instead
/// ```
pub fn adan(at: &Update<'_>) -> Step {
    let [beta1, beta2, beta3, eps, weight_decay] = at.numbers(["beta1", "beta2", "beta3", "eps", "weight_decay"]);
    let (no_prox, lr, first) = (at.flag("no_prox"), at.lr, at.t == 1.0);
    let (correction1, correction2, correction3) = (at.correction(beta1), at.correction(beta2), at.correction(beta3));
    Box::new(move |e| {
        let [m, d, n, previous] = e.state;
        let diff = if first { 0.0 } else { e.g - *previous };
        *previous = e.g;
        ema(m, beta1, e.g);
        ema(d, beta2, diff);
        ema(n, beta3, (e.g + beta2 * diff) * (e.g + beta2 * diff));
        if no_prox {
            decay(e.theta, lr * weight_decay);
        }
        let root = n.sqrt() / correction3.sqrt() + eps;
        *e.theta -= lr * (*m / correction1 + beta2 * *d / correction2) / root;
        if !no_prox {
            *e.theta /= 1.0 + lr * weight_decay;
        }
    })
}
