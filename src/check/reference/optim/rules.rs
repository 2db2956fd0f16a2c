//! The formulas of the rules that read one element at a time, one function each. Their sources are stated in
//! `shaders/optim/`.
//!
//! A function takes the quantities of an update and returns what is done to each element. In the formulas theta is the
//! parameter, g its gradient, and `b <- ema(beta, x)` stands for `b <- beta b + (1 - beta) x`. `ema(b, beta, x)`
//! computes this, and `decay(theta, by)` computes `theta <- theta (1 - by)`.

mod adam;
mod plain;
mod variance;

use super::element::{Element, Row, Step, Update};
use adam::{adabound, adam, adamw, ademamix, lamb, lamb_measure, nadam, nadamw, radam, vradam, vradam_measure};
use plain::{adadelta, adagrad, lars, lars_measure, lion, rmsprop, sgd, signum};
use variance::{adabelief, adan, amvt, laprop, mvngrad};

/// All rules that are such functions, with their settings.
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

/// Moves theta by `lr` against the sign of the sum of `parts`. If they nearly cancel, f32 may give the other sign, so
/// the element is marked as undecided.
fn along_sign(e: &mut Element<'_>, lr: f64, parts: &[f64]) {
    let direction: f64 = parts.iter().sum();
    if direction.abs() < 1e-6 * parts.iter().fold(0.0, |largest: f64, part| largest.max(part.abs())) {
        *e.undecided = true;
    }
    if direction != 0.0 {
        *e.theta -= lr * direction.signum();
    }
}
