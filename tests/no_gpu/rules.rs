//! Rules in files, as far as no device is needed: what is accepted, and what is refused and where.

mod expressions;

use velograd::{
    optim::{Kind, Rule, TEMPLATE},
    program::shader::SHADERS,
    random::Rng,
};

const HEAD: &str = "\
//! source = \"a test\"
//! state = { m = {} }
//! [settings]
//! lr = { default = 1e-3, min = 0, doc = \"rate\" }
//! weight_decay = { default = 0.0, min = 0, doc = \"decay\" }
//! fast = { default = false, doc = \"flag\" }
//! mode = { words = [\"one\", \"two\"], doc = \"choice\" }
//! [scalars]
//! k = \"1 - 0.9^t\"
";

const BODY: &str = "\
fn update(old: Element) -> Element {
    var e = old;
    e.p -= at.lr * e.g;
    e.p *= select(1.0 - at.lr * e.weight_decay, 1.0, FAST || MODE_TWO);
    return e;
}
";

/// The error with which a text is refused, or nothing if it is accepted.
fn said(text: &str) -> String {
    match Rule::parse("mine", "mine.wgsl", text) {
        Ok(_) => String::new(),
        Err(fault) => {
            assert_eq!(fault.exit_code(), 2);
            fault.to_string()
        }
    }
}

/// The same for a rule with this text before its function, from line 10 on.
fn before(text: &str) -> String {
    said(&format!("{HEAD}{text}\n{BODY}"))
}

/// The same for a rule with this text in its function, from line 12 on.
fn within(text: &str) -> String {
    said(&format!("{HEAD}{}", BODY.replace("    e.p -= at.lr * e.g;", text)))
}

/// The same for a rule whose scalar has this expression, which begins at column 10 of line 9.
fn scalar(text: &str) -> String {
    said(&format!("{}{}", HEAD.replace("1 - 0.9^t", text), BODY.replace("at.lr", "at.k")))
}

#[track_caller]
fn refused(found: &str, parts: &[&str]) {
    for part in parts {
        assert!(found.contains(part), "`{part}` is not in: {found}");
    }
    for line in found.lines().skip(1).filter(|line| line.contains(" | ")) {
        assert!(line.chars().count() <= 80, "a line of more than 80 columns: {line}");
    }
}

/// The built-in rules, and the template that `--new` writes, are accepted like rules from outside the program.
#[test]
fn the_programs_rules_are_rules() {
    let files = SHADERS.iter().filter(|(_, text)| text.starts_with("//!")).map(|(path, text)| (*path, *text));
    let mut seen = 0;
    for (path, text) in files.chain([("template", TEMPLATE)]) {
        let rule = Rule::parse("mine", path, text).unwrap_or_else(|fault| panic!("{fault}"));
        let mut sets = vec![vec![]];
        for setting in &rule.settings {
            let words = match &setting.kind {
                Kind::Flag { default } => vec![(!default).to_string()],
                Kind::Choice { words } => words.clone(),
                _ => vec![],
            };
            sets.extend(words.into_iter().map(|word| vec![(setting.key.clone(), word)]));
        }
        for mut set in sets {
            if rule.settings.iter().any(|s| s.key == "momentum") {
                set.push(("momentum".into(), "0.9".into()));
            }
            rule.build(&set).unwrap_or_else(|fault| panic!("{path} {set:?}: {fault}"));
        }
        seen += 1;
    }
    assert_eq!(seen, 22);
    assert_eq!(said(&format!("{HEAD}{BODY}")), "");
}

/// A rule has no access to memory or other elements and no entry points, however that is spelled.
#[test]
fn a_rule_reaches_no_memory() {
    for (text, part) in [
        ("@group(0) @binding(9) var<storage, read_write> x: array<f32>;", "10:1: `@`"),
        ("@compute @workgroup_size(1) fn evil() {}", "10:1: `@`"),
        ("var<private> x: f32;", "10:5: `private`"),
        ("var<workgroup> x: array<f32, 10>;", "10:5: `workgroup`"),
        ("fn f(p: ptr<storage, array<f32>>) {}", "10:13: `storage`"),
        ("override x: f32 = 1.0;", "10:1: `override`"),
        ("enable f16;", "10:1: `enable`"),
        ("diagnostic(off, derivative_uniformity);", "10:1: `diagnostic`"),
        ("#import gemm", "10:1: `#import gemm`"),
        ("/*\n#import gemm\n*/", "11:1: `#import gemm`"),
        ("/* a comment that does not end", "10:1: a comment that does not end"),
        ("// \u{2028}@group(0)", "10:4: the character U+2028"),
        ("// \u{b}fn x", "10:4: the character U+000B"),
        ("// \0", "10:4: the character U+0000"),
        ("// a\rfn b() {}", "10:5: the character U+000D"),
        ("// \u{202e}", "10:4: the character U+202E"),
        // Names that the text around the rule uses too, where the rule's declarations would apply.
        ("fn main() {}", "10:4: `main` is a name that the linker uses"),
        ("fn min(a: u32, b: u32) -> u32 { return a; }", "10:4: `min`"),
        ("alias f32 = u32;", "10:7: `f32`"),
        ("struct Element { x: f32 }", "10:8: `Element`"),
        ("const LANES = 3;", ""),
        ("const index = 3;", "10:7: `index`"),
        ("const FAST = true;", "10:7: `FAST`"),
        ("const A = array<f32, 1000000>();", "10:1: a constant of 4000000 bytes"),
        ("const A = array<array<f32, 65536>, 4096>();", "10:1: a constant of 1073741824 bytes"),
        ("struct S { a: array<f32, 1000000> }\nconst A = S();", "11:1: a constant of 4000000 bytes"),
        ("fn f(a: array<f32, 1000000>) {}", "10:4: `f` takes or gives a value of 4000000 bytes"),
        ("fn r(x: f32) -> f32 { return r(x); }", "10:4: declaration of `r` is recursive"),
    ] {
        refused(&before(text), if part.is_empty() { &[] } else { std::slice::from_ref(&part) });
    }
    for (text, part) in [
        ("    params[0] = vec4<f32>();", "12:5: `params`"),
        ("    state_m[7] = vec4<f32>();", "12:5: `state_m`"),
        ("    e.p += grads[3];", "12:12: `grads`"),
        ("    e.p.x += report.loss;", "12:14: `report`"),
        ("    e.p.x += sizes.weight_decay;", "12:14: `sizes`"),
        ("    let p = &params; (*p)[3] = e.g;", "`params`"),
        ("    prepare();\n    e.p.x += step.lr;", "13:14: `step`"),
        ("    workgroupBarrier();", "12:5: a barrier"),
        ("    storageBarrier();", "12:5: a barrier"),
        ("    discard;", "12:5: `discard`"),
        ("    e.p.x += dpdx(e.g.x);", "mine.wgsl:12:"),
        ("    e.p.x += subgroupAdd(e.g.x);", "mine.wgsl:12:"),
        ("    var a: array<vec4<f32>, 10000000>; a[0] = e.p;", "12:5: a variable of 160000000 bytes"),
        ("    let a = array<array<f32, 1000>, 1000>(); e.p.x += a[0][1];", "12:13: a value of 4000000 bytes"),
        ("    const A = array<f32, 1000000>(); e.p.x += A[u32(e.g.x)];", "12:15: a value of 4000000 bytes"),
        ("    var a: array<f32, 4>; a[9] = 1.0;", "mine.wgsl:12:"),
        ("    var a: atomic<u32>;", "12:5: "),
    ] {
        refused(&within(text), &[part]);
    }
    // Seventeen variables, and then constants, of 1 KiB each.
    let many: String = (0..17).map(|i| format!("    var a{i}: array<f32, 256>; a{i}[0] = e.p.x;\n")).collect();
    refused(&within(&many), &["27:5: a variable of 1024 bytes", "16384 for all"]);
    let many: String = (0..17).map(|i| format!("const A{i} = array<f32, 256>();\n")).collect();
    refused(&before(&many), &["a constant of 1024 bytes", "16384 for all"]);
}

/// Every rule ends soon: the ends of loops can be seen, and a function costs as often as it is called.
#[test]
fn a_rule_ends() {
    for (text, part) in [
        ("    loop { e.p.x += 1.0; if e.p.x > 3.0 { break; } }", "12:5: `loop`"),
        ("    while true { e.p.x += 1.0; }", "12:5: `while`"),
        ("    for (;;) { }", "12:5: a loop is"),
        ("    for (var i = 0; i < i32(e.g.x); i++) { e.p.x += 1.0; }", "12:5: a loop is"),
        ("    for (var i = 0; i < 100000; i++) { e.p.x += 1.0; }", "at most 64 turns"),
        ("    for (var i = 8; i > 0; i--) { e.p.x += 1.0; }", "12:5: a loop is"),
        ("    for (var i = 0; i < 8; i++) { i = 0; }", "12:35: `i` counts"),
        ("    for (var i = 0; i < 8; i++) { ((i)) -= 1; }", "12:37: `i` counts"),
        ("    for (var i = 0; i < 8; i++) { i--; }", "12:35: `i` counts"),
        ("    for (var i = 0; i < 8; i++) { let p = &(i); *p = 0; }", "12:45: `i` counts"),
        ("#unroll i 9999999\n    e.p.x += $i.0;\n#end", "12:1: #unroll repeats at most 64"),
        (
            "#unroll i 64\n#unroll j 64\n#unroll k 64\n    e.p.x += 1.0;\n#end\n#end\n#end",
            "15:1: #unroll makes more than 20000",
        ),
        // Empty repetitions count too.
        (
            "#unroll i 64\n#unroll j 64\n#unroll k 64\n#unroll l 9\n#end\n#end\n#end\n#end",
            "#unroll makes more than 20000 lines",
        ),
        (
            &format!("{}{}", "#unroll i 1\n".repeat(1500), "#end\n".repeat(1500)),
            "20:1: #unroll is nested more than 8 deep",
        ),
        (
            &format!("#unroll i 64\n#unroll j 9\n    // {}\n#end\n#end", "long".repeat(1000)),
            "14:1: #unroll makes more than 1048576 bytes",
        ),
        ("#unroll i 8\n    e.p.x += $i.0;", "12:1: #unroll without #end"),
        ("#unroll i COUNT\n    e.p.x += $i.0;\n#end", "12:1: `COUNT` is no whole number"),
        (
            "    for (var i = 0; i < 64; i++) { for (var j = 0; j < 64; j++) { e.p.x += 1.0; } }",
            "operations; at most 10000",
        ),
    ] {
        refused(&within(text), &[part]);
    }
    assert_eq!(within("    for (var i = 0; i < 8; i++) { e.p.x += f32(i); if e.p.x == 3.0 { continue; } }"), "");
    assert_eq!(within("    for (var j: u32 = 0u; j <= 8u; j++) { e.p.x += f32(j); }"), "");
    assert_eq!(within("#unroll i 8\n    e.p.x += $i.0;\n#end"), "");
    // Each function calls the one before it twice, so the cost doubles with each.
    let tree: String =
        (1..40).map(|i| format!("fn g{i}(x: f32) -> f32 {{ return g{}(x) + g{0}(x); }}\n", i - 1)).collect();
    let tree = format!("fn g0(x: f32) -> f32 {{ return x + 1.0; }}\n{tree}");
    let text = format!("{HEAD}{tree}{}", BODY.replace("e.p -= at.lr * e.g", "e.p.x = g39(e.p.x)"));
    refused(&said(&text), &["operations; at most 10000"]);
}

/// What naga parses by recursion is bounded before naga reads it, so that a stack of 512 KiB suffices, a quarter of a
/// thread's.
#[test]
fn deep_texts_need_little_stack() {
    let texts = || {
        [
            format!("    e.p.x = {}1.0;", "1.0 + ".repeat(118)),
            format!("    e.p.x = {}1.0;", "- ".repeat(230)),
            format!("    if {}true {{ }}", "!".repeat(230)),
            format!("    if {}true {{ }}", "true && ".repeat(118)),
            format!("    if {}true {{ }}", "true || ".repeat(118)),
            format!("    if e.p.x > 1.0 {{ }}{}", " else if e.p.x > 2.0 { }".repeat(48)),
            format!("    var a: {}f32{};", "array<".repeat(46), ", 1>".repeat(46)),
            format!("{}{}", "{".repeat(22), "}".repeat(22)),
            format!("    e.p.x = {}1.0{};", "abs(".repeat(22), ")".repeat(22)),
            format!("    e.p.x = {}1.0;", "&*".repeat(110)),
        ]
    };
    let look = move || texts().iter().map(|text| within(text)).collect::<Vec<_>>();
    let found = std::thread::Builder::new().stack_size(512 << 10).spawn(look).unwrap().join().unwrap();
    assert_eq!(found.len(), 10);
    refused(&within(&format!("    e.p.x = {}1.0;", "1.0 + ".repeat(130))), &["a statement of more than 240 words"]);
    refused(&within(&format!("{}{}", "{".repeat(30), "}".repeat(30))), &["nested more than 24 deep"]);
    refused(&within(&format!("    if true {{ }}{}", " else if true { }".repeat(60))), &["more than 48 times `else`"]);
}

/// Errors in the header, in expressions and in the WGSL have a line and a column, and for an unknown name the nearest
/// known one.
#[test]
fn faults_have_places() {
    for (found, parts) in [
        (said(""), &["mine.wgsl:1:1: a rule begins with `//!` lines"][..]),
        (said(BODY), &["1:1: a rule begins with"]),
        (said(&"//! a = 1\n".repeat(10_000)), &["at most 65536 bytes"]),
        (said(&format!("//! source = \"x\n{BODY}")), &["1:16: TOML: "]),
        (
            said(&format!("{}{BODY}", HEAD.replace("//! source", "//! sauce"))),
            &["1:5: the header has no key `sauce`", "did you mean `source`"],
        ),
        (
            said(&format!("{}{BODY}", HEAD.replace("doc = \"rate\"", "dok = \"rate\""))),
            &["4:37: setting `lr` has no key `dok`", "did you mean `doc`"],
        ),
        (
            said(&format!("{}{BODY}", HEAD.replace("default = 1e-3", "default = -1"))),
            &["4:22: the default is a number of at least 0"],
        ),
        (said(&format!("{}{BODY}", HEAD.replace("//! lr", "//! rate"))), &["has no number `lr`"]),
        (said(&format!("{}{BODY}", HEAD.replace("m = {}", "p = {}"))), &["2:15: an element has a field `p` already"]),
        (said(&format!("{}{BODY}", HEAD.replace("m = {}", "kept = {}"))), &["2:15: "]),
        (said(&format!("{}{BODY}", HEAD.replace("m = {}", "loop = {}"))), &["2:15: `loop` is a word of WGSL"]),
        (
            said(&format!("{}{BODY}", HEAD.replace("m = {}", "m = { if = \"slow\" }"))),
            &["2:27: `slow` is not known here"],
        ),
        (
            said(&format!("{}{BODY}", HEAD.replace("m = {}", "m = { if = \"mode\" }"))),
            &["2:27: `mode` is a word", "MODE_ONE, MODE_TWO"],
        ),
        (
            said(&format!(
                "{}{BODY}",
                HEAD.replace("m = {}", "a = {}, b = {}, c = {}, d = {}, f = {}, h = {}, i = {}, j = {}, k = {}")
            )),
            &["at most 4 words of state, this one has 9"],
        ),
        (said(&format!("//! source = {}1{}\n{BODY}", "[".repeat(20_000), "]".repeat(20_000))), &["TOML: "]),
        (scalar("1 - (0.9^t"), &["9:20: expected `)`, found the end"]),
        (scalar("1 - beta^t"), &["9:14: `beta` is not known here"]),
        (scalar("1 - lr^t"), &["9:14: `lr` changes from update to update", "`initial_lr`"]),
        (scalar("weight_decay * t"), &["9:10: `weight_decay`", "`e.weight_decay`"]),
        (scalar("2 $ t"), &["9:12: `$` has no meaning"]),
        (scalar("squirt(2)"), &["9:10: no function is called `squirt`", "did you mean `sqrt`"]),
        (scalar("min(2)"), &["expected `,`, found `)`"]),
        (scalar("1e999"), &["9:10: `1e999` is no number"]),
        (scalar("2 3"), &["9:12: expected an operator, found `3`"]),
        (scalar("k + 1"), &["`k` is computed from itself"]),
        (scalar("product(i, 1, t, t)"), &["9:27: `t` changes with t"]),
        (scalar("product(i, 1, t, product(j, 1, i, 1))"), &["a product within a product"]),
        (scalar(&format!("{}1{}", "(".repeat(300), ")".repeat(300))), &["nested more than 40 deep"]),
        (scalar(&"1+".repeat(3000)), &["at most 1000 bytes"]),
        (scalar("1 / (t - 1)"), &["9:5: with these settings `k` is inf in update 1"]),
        (scalar("product(i, 1, 1000000000000, 1)"), &["9:5: with these settings `k` is NaN"]),
        (within("    e.p = e.p +;"), &["mine.wgsl:12:16: expected expression"]),
        (within("    e.p = vec4(foo);"), &["12:16: no definition in scope for identifier: `foo`"]),
        (within("    e.p = 3u;"), &["mine.wgsl:12:5: "]),
        (within("    e.q = e.p;"), &["12:7: invalid field accessor `q`"]),
        (within("    e.p.x = at.lrr;"), &["12:16: an update has no number `lrr`", "did you mean `lr`"]),
        (within("    e.p.x = settings.weight_decay;"), &["12:22: ", "`e.weight_decay`"]),
        (within("    e.p.x = settings.fast;"), &["12:22: ", "a constant in capitals"]),
        (within("    e.p.y = ünbekannt;"), &["12:13: no definition in scope for identifier: `ünbekannt`"]),
        (
            said(&format!("{HEAD}fn updat(old: Element) -> Element {{ return old; }}")),
            &["there is no `fn update(e: Element) -> Element`"],
        ),
        (
            said(&format!("{HEAD}fn update(old: f32) -> f32 {{ return old; }}")),
            &["10:1: it is `fn update(e: Element) -> Element`"],
        ),
        (
            said(&format!("{}{BODY}", HEAD.replace("//! fast", "//! slow = { default = 1, doc = \"x\" }\n//! fast"))),
            &["nothing reads the setting `slow`"],
        ),
        (said(&format!("{HEAD}{}", BODY.replace("FAST || MODE_TWO", "FAST"))), &["nothing reads the setting `mode`"]),
        (
            said(&format!("{HEAD}//! [kept]\n//! q = \"q + product(i, 1, 3, i)\"\n{BODY}")),
            &["11:9: the device computes no products"],
        ),
        (
            said(&format!("{HEAD}//! [kept]\n//! q = \"q + 1e39\"\n{BODY}")),
            &["11:9: the device computes in f32, which does not hold this large a number"],
        ),
        (
            said(&format!(
                "//! measure = {{ over = \"tensor\" }}\n{HEAD}fn measure(e: Element) -> vec3f {{ return e.p.xyz * at.grad_norm; }}\n{BODY}"
            )),
            &["11:55: an update has no number `grad_norm`", "a rule that measures"],
        ),
        (said(&format!("//! measure = {{ over = \"rows\" }}\n{HEAD}{BODY}")), &["1:24: over is"]),
        (
            said(&format!("//! clip_norm = \"lr\"\n{HEAD}{BODY}")),
            &["1:17: `lr` is no number among the settings, which clip_norm names"],
        ),
        (
            before("fn measure(e: Element) -> vec3<f32> { return vec3(0.0); }"),
            &["10:1: `measure` is called for a rule whose header says"],
        ),
    ] {
        refused(&found, parts);
    }
    let settings: String = (0..1000).map(|i| format!("//! s{i} = {{ default = 1, doc = \"x\" }}\n")).collect();
    refused(
        &said(&format!("//! source = \"x\"\n//! [settings]\n{settings}{BODY}")),
        &["at most 64 settings, this one has 1000"],
    );
}

/// Texts of built-in rules that are cut, or from which parts are removed, inserted or doubled, neither cause a panic
/// nor take long, and those that are still rules have scalars.
#[test]
fn bent_rules() {
    let rules: Vec<&str> = SHADERS.iter().filter(|(_, text)| text.starts_with("//!")).map(|(_, text)| *text).collect();
    let mut rng = Rng::new(11);
    let pieces = [
        "(",
        ")",
        "{",
        "}",
        "\"",
        "//!",
        "/*",
        "*/",
        "#unroll i 9\n",
        "#end\n",
        "@",
        "^",
        "1e400",
        "\n",
        "ü",
        "=",
        ";",
        "if",
        "[settings]",
    ];
    let mut taken = 0;
    for _ in 0..1500 {
        let mut text: Vec<char> = rules[rng.below(rules.len() as u32) as usize].chars().collect();
        for _ in 0..=rng.below(3) {
            let at = rng.below(text.len() as u32) as usize;
            match rng.below(4) {
                0 => text.truncate(at.max(1)),
                1 => drop(text.remove(at)),
                2 => drop(text.splice(at..at, pieces[rng.below(pieces.len() as u32) as usize].chars())),
                _ => {
                    let end = (at + rng.below(40) as usize).min(text.len());
                    let piece = text[at..end].to_vec();
                    drop(text.splice(at..at, piece));
                }
            }
        }
        let text: String = text.into_iter().collect();
        if let Ok(rule) = Rule::parse("bent", "bent.wgsl", &text) {
            let (optimizer, _) = rule.build(&[]).unwrap();
            optimizer.scalars(7);
            taken += 1;
        }
    }
    println!("{taken} of 1500 bent rules are rules");
    assert!(taken > 20);
}
