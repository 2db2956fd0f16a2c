//! Expressions in the headers of rules: the values that they have, and the WGSL that they become.

use std::time::{Duration, Instant};

use velograd::{
    optim::{self, Clip, Rule},
    program::{
        Tape,
        params::{Init, Role, Shape},
        shader::link,
        target::Target,
    },
    random::Rng,
};

use super::{BODY, HEAD};

/// The WGSL of a number that the device keeps is valid whenever its expression is accepted, and is read on a quarter of
/// a thread's stack: for operations that naga would evaluate and refuse, for deep nesting, and for random expressions.
#[test]
fn what_is_kept_is_valid() {
    let target = Target::portable();
    let mut t = Tape::new(&target, true);
    t.param("weight", Shape::Vector { c: 10 }, Init::Constant(0.0), Role::Weight);
    let layout = t.layout().clone();
    let kernels = move |next: &str| {
        let head = format!("{HEAD}//! [kept]\n//! q = \"{next}\"\n");
        let rule = Rule::parse("mine", "mine.wgsl", &format!("{head}{}", BODY.replace("at.lr", "at.q")))?;
        let recording =
            optim::record(rule.build(&[])?.0.as_ref(), Clip::default(), Tape::over_layout(&target, &layout));
        let kernels = recording.calls.iter().filter(|call| call.spec.path.starts_with("rule/"));
        Ok::<_, velograd::error::Error>(kernels.inspect(|call| drop(link(&call.spec))).count())
    };
    let look = move || {
        let nested = |call: &str| format!("{}q{}", format!("{call}(").repeat(39), ", 3)".repeat(39));
        let sum = vec!["q"; 240].join(" + ");
        for next in ["1e38 * 10 + 1 / 0 + sqrt(-1) + ln(0) + (-8)^0.5", &nested("mod"), &nested("max"), &sum] {
            assert_eq!(kernels(next).unwrap(), 2, "{next}");
        }
        let mut rng = Rng::new(5);
        for _ in 0..300 {
            let next = any_expression(&mut rng, 4);
            assert_eq!(kernels(&next).unwrap_or_else(|fault| panic!("{fault}")), 2, "{next}");
        }
    };
    std::thread::Builder::new().stack_size(512 << 10).spawn(look).unwrap().join().unwrap();
}

/// A random expression for `[kept]`, nested at most `depth` deep.
fn any_expression(rng: &mut Rng, depth: u32) -> String {
    const LEAVES: [&str; 12] =
        ["q", "k", "t", "lr", "initial_lr", "fast", "MODE_TWO", "grad_norm", "0", "2", "1e38", "1e-44"];
    const SIGNS: [&str; 13] = ["+", "-", "*", "/", "^", "<", "<=", ">", ">=", "==", "!=", "and", "or"];
    const ONE: [&str; 7] = ["-", "not ", "sqrt", "exp", "ln", "abs", "floor"];
    const TWO: [&str; 3] = ["min", "max", "mod"];
    if depth == 0 || rng.below(6) == 0 {
        return LEAVES[rng.below(12) as usize].to_owned();
    }
    let mut part = || any_expression(rng, depth - 1);
    let [a, b, c] = [part(), part(), part()];
    match rng.below(8) {
        0 => format!("{}({a})", ONE[rng.below(7) as usize]),
        1 => format!("{}({a}, {b})", TWO[rng.below(3) as usize]),
        2 => format!("if({a}, {b}, {c})"),
        _ => format!("({a}) {} ({b})", SIGNS[rng.below(13) as usize]),
    }
}

/// The values in update `t` of scalars with these expressions.
fn scalars(of: &[&str], t: u64) -> Vec<f64> {
    let stated: String = of.iter().enumerate().map(|(i, text)| format!("//! k{i} = \"{text}\"\n")).collect();
    let read: String = (0..of.len()).map(|i| format!("    e.p.x += at.k{i};\n")).collect();
    let read = read + "    e.m.x = settings.b;\n";
    let head = HEAD
        .replace("//! k = \"1 - 0.9^t\"\n", &stated)
        .replace("//! fast", "//! b = { default = 0.999, doc = \"b\" }\n//! fast");
    let rule = Rule::parse("mine", "mine.wgsl", &format!("{head}{}", BODY.replace("    e.p -= at.lr * e.g;\n", &read)));
    let (optimizer, _) = rule.unwrap_or_else(|fault| panic!("{fault}")).build(&[]).unwrap();
    optimizer.scalars(t)[..of.len()].to_vec()
}

#[test]
fn expressions() {
    // Every expression reads t, because scalars without it are not in the row.
    for (text, expected) in [
        ("0 * t + 1 + 2 * 3 - 4 / 8", 6.5),
        ("0 * t + 2^3^2", 512.0),
        ("0 * t - 2^2", -4.0),
        ("0 * t + (-2)^2", 4.0),
        ("2^-1 * t / 5", 0.5),
        ("t - 1 - 1", 3.0),
        ("if(t == 5, 10, 20)", 10.0),
        ("if(t < 5 or t >= 6, 1, 2) + (t != 5)", 2.0),
        ("not (t > 3 and t <= 5)", 0.0),
        ("min(t, 3) + max(t, 7) + abs(-t)", 15.0),
        ("mod(t, 3) + 10 * mod(-t, 3) + floor(t / 2)", 14.0),
        ("sqrt(t + 4) + exp(0 * t) + ln(exp(1))", 5.0),
        ("product(i, 1, min(t, 5), i)", 120.0),
        ("product(i, 3, min(t, 5), 2 * i + b - b)", 480.0),
        ("product(i, 9, min(t, 5), i)", 1.0),
        ("b * t * initial_lr + fast + MODE_ONE + MODE_TWO", 0.999 * 5.0 * 1e-3 + 1.0),
        ("if(t > 0, 1, 1 / 0)", 1.0),
        (".5e1*t", 25.0),
    ] {
        let found = scalars(&[text], 5)[0];
        assert!((found - expected).abs() <= 1e-14 * expected.abs(), "{text}: {found} is not {expected}");
    }
}

/// `1 - a^b` keeps its digits where `a^b` is near 1: with a = 1 - d and b = 3 it is 3d - 3d² + d³.
#[test]
fn corrections_keep_their_digits() {
    let d = 0.5_f64.powi(30);
    let expected = 3.0 * d - 3.0 * d * d + d * d * d;
    let found = scalars(&["1 - (1 - 0.5^30)^t", "1 / (1 - (1 - 2^-30)^t)"], 3);
    assert!((found[0] - expected).abs() <= 4e-16 * expected, "{} is not {expected}", found[0]);
    assert!((found[1] * expected - 1.0).abs() <= 4e-16, "{} is not 1/{expected}", found[1]);
    let ends = scalars(&["1 - 0^t", "1 - 0.9^(1000 * t)", "1 - b^(0 * t)"], 3);
    assert_eq!(ends, [1.0, 1.0, 0.0]);
}

/// A product that continues from the update before has the bits of one that is multiplied from the start. To resume a
/// long run takes little time, and so does any number of updates that a checkpoint claims.
#[test]
fn products_go_on() {
    let text = "product(i, 1, t, 0.99999 - 1e-6 / i)";
    let head = HEAD.replace("1 - 0.9^t", text);
    let rule = Rule::parse("mine", "mine.wgsl", &format!("{head}{}", BODY.replace("at.lr", "at.k"))).unwrap();
    let build = || rule.build(&[]).unwrap().0;
    let (step_by_step, begin) = (build(), Instant::now());
    for t in 1..=3000_u64 {
        // An update asks for the newest count, then for the seven before it.
        for back in 0..8 {
            step_by_step.scalars(t.saturating_sub(back).max(1));
        }
        if t.is_multiple_of(500) {
            let anew = build();
            for back in [7, 0, 3] {
                assert_eq!(
                    anew.scalars(t - back)[0].to_bits(),
                    step_by_step.scalars(t - back)[0].to_bits(),
                    "update {t}"
                );
            }
        }
    }
    let far = build();
    assert!(far.scalars(1_000_000)[0] > 0.0);
    for t in [u64::MAX, 1 << 60, u64::from(u32::MAX)] {
        let _ = build().scalars(t);
    }
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}
