//! The formulas of the rules that look at one element at a time: one function each. `shaders/optim/` has their sources.
//!
//! A function gets what an update is to every element, and gives what is done to one: `theta` is the parameter, `ema(b, beta, x)` stands for
//! `b <- beta b + (1 - beta) x`, and `decay(theta, by)` for `theta <- theta (1 - by)`.

use super::element::{Element, Measure, Row, Step, Update};

/// Every rule.
pub static ALL: &[Row] = &[
    row("sgd", sgd, "lr=1e-3 momentum=0 dampening=0 weight_decay=0 nesterov=false"),
    row("adam", adam, "lr=1e-3 beta1=0.9 beta2=0.999 eps=1e-8 weight_decay=0 amsgrad=false"),
    row("adamw", adamw, "lr=1e-3 beta1=0.9 beta2=0.999 eps=1e-8 weight_decay=0.01 amsgrad=false"),
    row("nadamw", nadamw, "lr=1e-3 beta1=0.9 beta2=0.999 eps=1e-8 weight_decay=0.01"),
    row("rmsprop", rmsprop, "lr=1e-2 alpha=0.99 eps=1e-8 weight_decay=0 momentum=0 centered=false"),
    row("adagrad", adagrad, "lr=1e-2 lr_decay=0 weight_decay=0 initial_accumulator_value=0 eps=1e-10"),
    row("adadelta", adadelta, "lr=1 rho=0.9 eps=1e-6 weight_decay=0"),
    row(
        "nadam",
        nadam,
        "lr=2e-3 beta1=0.9 beta2=0.999 eps=1e-8 weight_decay=0 momentum_decay=4e-3 decoupled_weight_decay=false",
    ),
    row("radam", radam, "lr=1e-3 beta1=0.9 beta2=0.999 eps=1e-8 weight_decay=0 decoupled_weight_decay=false"),
    row(
        "adabelief",
        adabelief,
        "lr=1e-3 beta1=0.9 beta2=0.999 eps=1e-16 weight_decay=0 wd_mode=decoupled|fixed|l2 rectify=false amsgrad=false",
    ),
    row("laprop", laprop, "lr=4e-4 beta1=0.9 beta2=0.999 eps=1e-15 weight_decay=0 official=false"),
    row(
        "adabound",
        adabound,
        "lr=1e-3 beta1=0.9 beta2=0.999 final_lr=0.1 gamma=1e-3 eps=1e-8 weight_decay=0 amsbound=false",
    ),
    row(
        "amvt",
        amvt,
        "lr=1e-3 beta1=0.9 beta2=0.999 beta3=0.99 eps=1e-8 weight_decay=0 wd_mode=literal|decoupled eps_mode=inside|outside \
         bias_corrected=true clip=0",
    ),
    row("mvngrad", mvngrad, "lr=1e-3 beta1=0.9 beta2=0.999 eps=1e-8 eps_s=1e-16 weight_decay=0 wd_mode=decoupled|l2"),
    row("lion", lion, "lr=1e-4 beta1=0.9 beta2=0.99 weight_decay=0"),
    row("signum", signum, "lr=0.01 momentum=0.9 weight_decay=0 wd_mode=l2|decoupled"),
    row("adan", adan, "lr=1e-3 beta1=0.98 beta2=0.92 beta3=0.99 eps=1e-8 weight_decay=0 no_prox=false"),
    row(
        "ademamix",
        ademamix,
        "lr=1e-3 beta1=0.9 beta2=0.999 beta3=0.9999 alpha=2 beta3_warmup=0 alpha_warmup=0 eps=1e-8 weight_decay=0",
    ),
    Row {
        measure: Some((vradam_measure, true)),
        ..row(
            "vradam",
            vradam,
            "lr=1e-3 beta1=0.9 beta2=0.999 beta3=1 alpha1=10 eps=1e-8 weight_decay=1e-5 norm_of=velocity|grad",
        )
    },
    Row {
        measure: Some((lars_measure, false)),
        ..row(
            "lars",
            lars,
            "lr=1 momentum=0 dampening=0 weight_decay=0 nesterov=false trust_coeff=0.001 eps=1e-8 trust_clip=false \
             always_adapt=false",
        )
    },
    Row {
        measure: Some((lamb_measure, false)),
        ..row(
            "lamb",
            lamb,
            "lr=1e-3 beta1=0.9 beta2=0.999 eps=1e-6 weight_decay=0.01 bias_correction=true grad_averaging=true trust_clip=false \
             always_adapt=false",
        )
    },
];

const fn row(name: &'static str, step: fn(&Update<'_>) -> Step, settings: &'static str) -> Row {
    Row { name, step, measure: None, settings }
}

fn ema(b: &mut f64, beta: f64, x: f64) {
    *b = beta * *b + (1.0 - beta) * x;
}

fn decay(theta: &mut f64, by: f64) {
    *theta *= 1.0 - by;
}

/// A step along the sign of what `parts` add up to; where they nearly cancel, an f32 may have the other sign.
fn along_sign(e: &mut Element<'_>, lr: f64, parts: &[f64]) {
    let direction: f64 = parts.iter().sum();
    if direction.abs() < 1e-6 * parts.iter().fold(0.0, |largest: f64, part| largest.max(part.abs())) {
        *e.undecided = true;
    }
    if direction != 0.0 {
        *e.theta -= lr * direction.signum();
    }
}

/// `d = g + weight_decay theta;  buffer = d at t = 1, else momentum buffer + (1 - dampening) d;  d = buffer, or d + momentum buffer
/// with nesterov;  theta <- theta - lr d`
fn sgd(at: &Update<'_>) -> Step {
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

/// `g <- g + weight_decay theta;  m <- ema(beta1, g);  v <- ema(beta2, g^2);  v_max <- max(v_max, v);
/// theta <- theta - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)`, v_max for v with amsgrad
fn adam(at: &Update<'_>) -> Step {
    let weight_decay = at.number("weight_decay");
    let step = adam_step(at);
    Box::new(move |e| {
        let g = e.g + weight_decay * *e.theta;
        step(e, g);
    })
}

/// As [`adam`], with `theta <- theta (1 - lr weight_decay)` before the step instead of the penalty.
fn adamw(at: &Update<'_>) -> Step {
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
fn nadamw(at: &Update<'_>) -> Step {
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

/// `g <- g + weight_decay theta;  v <- ema(alpha, g^2);  mean <- ema(alpha, g);  d = g / (sqrt(v) + eps), centered:
/// g / (sqrt(v - mean^2) + eps);  buffer <- momentum buffer + d;  theta <- theta - lr buffer`
fn rmsprop(at: &Update<'_>) -> Step {
    let [alpha, eps, weight_decay, momentum] = at.numbers(["alpha", "eps", "weight_decay", "momentum"]);
    let (centered, lr) = (at.flag("centered"), at.lr);
    Box::new(move |e| {
        let [v, mean, buffer, _] = e.state;
        let g = e.g + weight_decay * *e.theta;
        ema(v, alpha, g * g);
        ema(mean, alpha, g);
        // Of a constant gradient rounding may leave less than 0.
        let second = if centered { (*v - *mean * *mean).max(0.0) } else { *v };
        *buffer = momentum * *buffer + g / (second.sqrt() + eps);
        *e.theta -= lr * *buffer;
    })
}

/// `g <- g + weight_decay theta;  sum <- sum + g^2, from initial_accumulator_value;
/// theta <- theta - lr / (1 + (t - 1) lr_decay) g / (sqrt(sum) + eps)`
fn adagrad(at: &Update<'_>) -> Step {
    let [lr_decay, weight_decay, initial, eps] =
        at.numbers(["lr_decay", "weight_decay", "initial_accumulator_value", "eps"]);
    let (rate, first) = (at.lr / (1.0 + (at.t - 1.0) * lr_decay), at.t == 1.0);
    Box::new(move |e| {
        let (sum, g) = (&mut e.state[0], e.g + weight_decay * *e.theta);
        *sum = if first { initial } else { *sum } + g * g;
        *e.theta -= rate * g / (sum.sqrt() + eps);
    })
}

/// `g <- g + weight_decay theta;  v <- ema(rho, g^2);  d = sqrt(u + eps) / sqrt(v + eps) g;  u <- ema(rho, d^2);
/// theta <- theta - lr d`
fn adadelta(at: &Update<'_>) -> Step {
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

/// `g <- g + weight_decay theta, or decoupled: theta <- theta (1 - lr weight_decay);
/// mu_t = beta1 (1 - 0.5 0.96^(t momentum_decay));  P <- P mu_t, from 1;  m <- ema(beta1, g);  v <- ema(beta2, g^2);
/// d = sqrt(v / (1 - beta2^t)) + eps;  theta <- theta - lr (1 - mu_t) / (1 - P) g / d - lr mu_(t+1) / (1 - P mu_(t+1)) m / d`
fn nadam(at: &Update<'_>) -> Step {
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

/// rho and r of RAdam: `rho_inf = 2 / (1 - beta2) - 1;  rho = rho_inf - 2 t beta2^t / (1 - beta2^t);
/// r = sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho))`
fn rectification(at: &Update<'_>, beta2: f64) -> (f64, f64) {
    let longest = 2.0 / (1.0 - beta2) - 1.0;
    let rho = longest - 2.0 * at.t * beta2.powf(at.t) / at.correction(beta2);
    let r = (rho - 4.0) * (rho - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * rho);
    (rho, r.sqrt())
}

/// `g <- g + weight_decay theta, or decoupled: theta <- theta (1 - lr weight_decay);  m <- ema(beta1, g);  v <- ema(beta2, g^2);
/// theta <- theta - lr r sqrt(1 - beta2^t) m / (1 - beta1^t) / (sqrt(v) + eps) where rho > 5, else theta - lr m / (1 - beta1^t)`
fn radam(at: &Update<'_>) -> Step {
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

/// `theta <- theta (1 - lr weight_decay), fixed: theta (1 - weight_decay), l2: g <- g + weight_decay theta;  m <- ema(beta1, g);
/// s <- ema(beta2, (g - m)^2) + eps;  s_max <- max(s_max, s);
/// theta <- theta - lr / (1 - beta1^t) m / (sqrt(s) / sqrt(1 - beta2^t) + eps)`, s_max for s with amsgrad; with rectify as [`radam`] from
/// rho >= 5 on, with s for v
fn adabelief(at: &Update<'_>) -> Step {
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

/// `v <- ema(beta2, g^2);  z = g / (sqrt(v / (1 - beta2^t)) + eps);  theta <- theta (1 - lr weight_decay);  u <- ema(beta1, z);
/// theta <- theta - lr / (1 - beta1^t) u`; the authors' code (official): `q <- ema(beta1, lr);  u <- ema(beta1, lr z);
/// theta <- theta - u lr / q, at lr = 0 theta - u;  theta <- theta - weight_decay theta`
fn laprop(at: &Update<'_>) -> Step {
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

/// `g <- g + weight_decay theta;  m <- ema(beta1, g);  v <- ema(beta2, g^2);  v_max <- max(v_max, v);  f = final_lr lr / first lr;
/// low = f (1 - 1 / (gamma t + 1));  high = f (1 + 1 / (gamma t));
/// theta <- theta - clamp(lr sqrt(1 - beta2^t) / (1 - beta1^t) / (sqrt(v) + eps), low, high) m`, v_max for v with amsbound
fn adabound(at: &Update<'_>) -> Step {
    let [beta1, beta2, final_lr, gamma, eps, weight_decay] =
        at.numbers(["beta1", "beta2", "final_lr", "gamma", "eps", "weight_decay"]);
    let (amsbound, size) = (at.flag("amsbound"), at.lr * at.correction(beta2).sqrt() / at.correction(beta1));
    let end = final_lr * at.lr / at.first_lr;
    let (low, high) = (end * (1.0 - 1.0 / (gamma * at.t + 1.0)), end * (1.0 + 1.0 / (gamma * at.t)));
    Box::new(move |e| {
        let [m, v, v_max, _] = e.state;
        let g = e.g + weight_decay * *e.theta;
        ema(m, beta1, g);
        ema(v, beta2, g * g);
        *v_max = v_max.max(*v);
        let second = if amsbound { *v_max } else { *v };
        *e.theta -= (size / (second.sqrt() + eps)).clamp(low, high) * *m;
    })
}

/// `g <- g clip / ||g|| where ||g|| > clip > 0;  m <- ema(beta1, g);  v <- ema(beta2, g^2);  s <- ema(beta3, (g - m)^2);
/// mh, vh, sh = m / (1 - beta1^t), v / (1 - beta2^t), s / (1 - beta3^t), mh = m without bias_corrected;
/// a = lr (1 + sh / (vh + eps))^(-1/2) / sqrt(vh + eps), outside: / (sqrt(vh) + eps);
/// theta <- theta - a mh - weight_decay theta, decoupled: - lr weight_decay theta`
fn amvt(at: &Update<'_>) -> Step {
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

/// `theta <- theta (1 - lr weight_decay), l2: g <- g + weight_decay theta;  m <- ema(beta1, g);  v <- ema(beta2, (g - m)^2) + eps_s;
/// u <- ema(beta1, g / (sqrt(v / (1 - beta2^t)) + eps));  theta <- theta - lr / (1 - beta1^t) u`
fn mvngrad(at: &Update<'_>) -> Step {
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

/// `theta <- theta (1 - lr weight_decay);  theta <- theta - lr sign(beta1 m + (1 - beta1) g);  m <- ema(beta2, g)`
fn lion(at: &Update<'_>) -> Step {
    let ([beta1, beta2, weight_decay], lr) = (at.numbers(["beta1", "beta2", "weight_decay"]), at.lr);
    Box::new(move |e| {
        decay(e.theta, lr * weight_decay);
        along_sign(e, lr, &[beta1 * e.state[0], (1.0 - beta1) * e.g]);
        ema(&mut e.state[0], beta2, e.g);
    })
}

/// `g <- g + weight_decay theta, decoupled: theta <- theta (1 - lr weight_decay);  m <- ema(momentum, g);
/// theta <- theta - lr sign(m)`
fn signum(at: &Update<'_>) -> Step {
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

/// `diff = g - previous g, 0 at t = 1;  m <- ema(beta1, g);  d <- ema(beta2, diff);  n <- ema(beta3, (g + beta2 diff)^2);
/// theta <- theta - lr (m / (1 - beta1^t) + beta2 d / (1 - beta2^t)) / (sqrt(n) / sqrt(1 - beta3^t) + eps);
/// theta <- theta / (1 + lr weight_decay), no_prox: theta (1 - lr weight_decay) before the step`
fn adan(at: &Update<'_>) -> Step {
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

/// `m <- ema(beta1, g);  v <- ema(beta2, g^2);  slow <- ema(beta3_t, g);
/// theta <- theta - lr ((m / (1 - beta1^t) + alpha_t slow) / (sqrt(v) / sqrt(1 - beta2^t) + eps) + weight_decay theta)`;
/// alpha_t rises in a straight line over alpha_warmup updates, beta3_t from beta1 over beta3_warmup updates so that
/// `f(b) = ln(1/2) / ln(b + 1e-8) - 1` does
fn ademamix(at: &Update<'_>) -> Step {
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

/// `m <- ema(beta1, g);  v <- ema(beta2, g^2);  eta = lr / (1 + min(beta3 ||m||^2, alpha1)), norm_of=grad: ||g||^2;
/// theta <- theta (1 - eta weight_decay);  theta <- theta - eta m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)`
fn vradam(at: &Update<'_>) -> Step {
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

fn vradam_measure(at: &Update<'_>) -> Measure {
    let (beta1, of_grad) = (at.number("beta1"), at.is("norm_of", "grad"));
    Box::new(move |_, g, state| {
        let mut m = state[0];
        ema(&mut m, beta1, g);
        [if of_grad { g * g } else { m * m }, 0.0]
    })
}

/// `ratio = trust_coeff ||theta|| / (||g|| + weight_decay ||theta|| + eps), 1 where a norm is 0;  trust_clip: min(ratio / lr, 1);
/// d = ratio (g + weight_decay theta)`, without weight decay `d = g` but with always_adapt; then as [`sgd`] without decay
fn lars(at: &Update<'_>) -> Step {
    let ([weight_decay, trust, eps], lr) = (at.numbers(["weight_decay", "trust_coeff", "eps"]), at.lr);
    let (adapts, clips) = (weight_decay != 0.0 || at.flag("always_adapt"), at.flag("trust_clip"));
    let momentum = with_momentum(at);
    Box::new(move |e| {
        let [theta, g] = e.sums.map(f64::sqrt);
        let mut ratio = 1.0;
        if adapts && theta > 0.0 && g > 0.0 {
            ratio = trust * theta / (g + theta * weight_decay + eps);
        }
        if adapts && clips && lr > 0.0 {
            ratio = (ratio / lr).min(1.0);
        }
        *e.theta -= lr * momentum(&mut e.state[0], ratio * (e.g + weight_decay * *e.theta));
    })
}

fn lars_measure(_: &Update<'_>) -> Measure {
    Box::new(|theta, g, _| [theta * theta, g * g])
}

/// `m <- ema(beta1, g), without grad_averaging beta1 m + g;  v <- ema(beta2, g^2);
/// u = m / (1 - beta1^t) / (sqrt(v) / sqrt(1 - beta2^t) + eps) + weight_decay theta, without bias_correction of m and v themselves;
/// ratio = ||theta|| / ||u||, 1 where a norm is 0, trust_clip: at most 1;  theta <- theta - lr ratio u`, the ratio 1 without weight decay
/// but with always_adapt
fn lamb(at: &Update<'_>) -> Step {
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

fn lamb_measure(at: &Update<'_>) -> Measure {
    let direction = lamb_direction(at);
    Box::new(move |theta, g, state| {
        let u = direction(theta, g, &mut state.clone());
        [theta * theta, u * u]
    })
}
