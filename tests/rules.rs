//! Rules in files on a device: they compute what the built-in ones do, resume to the bit, and do no harm.

use std::fs;

use pollster::block_on;
use velograd::{
    check::selftest::{OptimizerInputs, narrow},
    device::Gpu,
    host::rule_file,
    optim::{self, Rule, RuleChoice, Stepper},
};

use crate::{
    folder::{Folder, records, says},
    support::gpu,
};

/// The text of the example rule in docs/RULES.md.
fn calm() -> String {
    const FENCE: &str = "```wgsl,calm.wgsl\n";
    let text = include_str!("../docs/RULES.md");
    let from = text.find(FENCE).unwrap() + FENCE.len();
    text[from..][..text[from..].find("```").unwrap()].to_owned()
}

const HEAD: &str = "\
//! source = \"a test\"
//! [settings]
//! lr = { default = 0.01, min = 0, doc = \"rate\" }
//! eps = { default = 1e-8, min = 0, doc = \"eps\" }
//! [state]
//! m = {}
";

fn rule(body: &str) -> Rule {
    let text = format!(
        "{HEAD}fn update(old: Element) -> Element {{\n    var e = old;\n    e.m *= select(0.0, 1.0, settings.eps >= 0.0);\n{body}\n    return e;\n}}\n"
    );
    Rule::parse("mine", "mine.wgsl", &text).unwrap_or_else(|fault| panic!("{fault}"))
}

fn stepper(gpu: &Gpu, rule: &Rule, set: &[(&str, &str)], inputs: &OptimizerInputs) -> Stepper {
    let given: Vec<_> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    block_on(Stepper::new(gpu, rule.build(&given).unwrap().0, &narrow(&inputs.params))).unwrap()
}

/// A copy of a built-in rule is compiled with every run-time check, and has the bits of the built-in one: element-wise,
/// with a number that the device keeps, and with sums over tensors.
#[test]
fn a_copy_of_a_rule_has_its_bits() {
    let Some(gpu) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[3, 1030, 20_000], 9);
    for (name, set) in [
        ("adamw", &[("amsgrad", "true")][..]),
        ("laprop", &[("official", "true")]),
        ("vradam", &[]),
        ("lamb", &[]),
        ("amvt", &[("clip", "0.5")]),
    ] {
        let path = format!("{}/shaders/optim/{name}.wgsl", env!("CARGO_MANIFEST_DIR"));
        let copy = Rule::parse("copy", "copy.wgsl", &fs::read_to_string(path).unwrap()).unwrap();
        let (mut own, mut program) =
            (stepper(gpu, &copy, set, &inputs), stepper(gpu, &optim::find(name).unwrap(), set, &inputs));
        for (grads, &loss) in inputs.grads.iter().zip(&inputs.losses) {
            block_on(own.step(&narrow(grads), loss as f32)).unwrap();
            block_on(program.step(&narrow(grads), loss as f32)).unwrap();
        }
        assert!(block_on(own.params()).unwrap() == block_on(program.params()).unwrap(), "{name}");
        assert!(own.kernels().iter().any(|(kernel, _)| kernel == "rule/copy"), "{:?}", own.kernels());
    }
}

/// A rule that does not leave zeros alone, or does not keep a weight without a gradient finite, is refused on the
/// device, under the settings that were given and under the default ones.
#[test]
fn what_moves_padding_is_refused() {
    let Some(gpu) = gpu() else { return };
    let refused = |body: &str, set: &[(&str, &str)], parts: &[&str]| is_refused(gpu, &rule(body), set, parts);
    refused(
        "    e.p -= at.lr * e.g / sqrt(e.m);",
        &[],
        &["mine.wgsl: with its default settings", "a parameter of 0 without a gradient becomes NaN"],
    );
    refused("    e.p += vec4(1e-3);", &[], &["a parameter of 0 without a gradient becomes 0.008"]);
    refused("    e.m += vec4(1.0);\n    e.p -= at.lr * max(e.m - vec4(3.0), vec4(0.0));", &[], &["becomes -0."]);
    refused(
        "    e.p -= at.lr * e.g / (abs(e.g) + settings.eps);",
        &[("eps", "0")],
        &["with these settings", "becomes NaN"],
    );
    refused("    e.p -= 0.001 * e.g / at.lr;", &[], &["with its default settings and a rate of 0", "becomes NaN"]);
    refused(
        "    e.p -= at.lr * e.g * log(1.0 - e.p) + 0.1 * log(e.p * e.p - e.p + vec4(1e-30)) * e.p;",
        &[],
        &["a parameter of"],
    );
    refused(
        "    e.p = select(e.p, e.p / e.g, e.p == vec4(1.0));",
        &[],
        &["a parameter of 1 without a gradient becomes"],
    );
    stepper(gpu, &rule("    e.p -= at.lr * e.g / (abs(e.g) + settings.eps);"), &[], &OptimizerInputs::new(&[7], 1));
}

#[track_caller]
fn is_refused(gpu: &Gpu, rule: &Rule, set: &[(&str, &str)], parts: &[&str]) {
    let given: Vec<_> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let lookahead = optim::Lookahead { k: 2, alpha: 0.5 }.around(rule.build(&given).unwrap().0);
    let fault = block_on(Stepper::new(gpu, lookahead, &[vec![1.0; 7]])).err();
    let fault = fault.unwrap_or_else(|| panic!("{} is taken", rule.text().unwrap()));
    assert_eq!(fault.exit_code(), 2);
    says(&fault.to_string(), parts);
}

/// A rule that moves an element by the gradient of another, by a norm or by a sum is refused, even if it leaves zeros
/// alone while nothing has a gradient, and even if it does so only in the first update, only by its state, or only in
/// tensors without weight decay.
#[test]
fn what_goes_by_others_is_refused() {
    let Some(gpu) = gpu() else { return };
    let parts =
        ["mine.wgsl: with its default settings", "of 0 without a gradient, beside others that have one, becomes"];
    for body in [
        "    e.p -= at.lr * vec4(e.g.x);",
        "    if at.t == 1.0 { e.p -= at.lr * e.g.wxyz; }",
        "    e.m = e.g;\n    e.p -= at.lr * old.m.wxyz;",
        "    e.p += vec4(at.lr * at.grad_norm);",
    ] {
        is_refused(gpu, &rule(body), &[], &parts);
    }
    let whole = |header: &str, head: &str, rest: &str| {
        let body = "    var e = old;\n    e.m *= settings.eps;";
        let text = format!("{header}{head}{rest}fn update(old: Element) -> Element {{\n{body}\n");
        move |step: &str| Rule::parse("mine", "mine.wgsl", &format!("{text}    {step}\n    return e;\n}}\n")).unwrap()
    };
    let measure = "fn measure(e: Element) -> vec3<f32> { return vec3(dot(e.g, e.g), 0.0, 0.0); }\n";
    for over in ["tensor", "all"] {
        let measured = whole(&format!("//! measure = {{ over = \"{over}\" }}\n"), HEAD, measure);
        is_refused(gpu, &measured("e.p -= at.lr * vec4(e.sums.x);"), &[], &parts);
        stepper(gpu, &measured("e.p -= at.lr * e.sums.x * e.g;"), &[], &OptimizerInputs::new(&[7], 1));
    }
    let decayed =
        HEAD.replace("//! [state]", "//! weight_decay = { default = 0.1, min = 0, doc = \"decay\" }\n//! [state]");
    let decayed = whole("", &decayed, "");
    is_refused(gpu, &decayed("e.p -= at.lr * select(e.g, e.g.wxyz, e.weight_decay == 0.0);"), &[], &parts);
    stepper(gpu, &decayed("e.p -= at.lr * (e.g + e.weight_decay * e.p);"), &[], &OptimizerInputs::new(&[7], 1));
}

/// Numbers that the device keeps have the values that the header states: a setting is not taken for a constant with the
/// same name in capitals, and operators give the host's values where WGSL's are different.
#[test]
fn what_is_kept_is_computed() {
    let Some(gpu) = gpu() else { return };
    let cases = [
        ("q0 + momentum", 0.5),
        ("MOMENTUM + momentum", 1.5),
        ("2 * nag + slow", 2.0),
        ("100 * initial_lr + 100 * lr", 2.0),
        ("mod(mod(mod(17, 10), 5), 3)", 2.0),
        ("mod(-5, 3) + mod(5, -3)", 0.0),
        ("(-2)^3 + (-2)^2 + 2^-1 + 0^0 + 0^2", -2.5),
        ("-2^2 + 2^3^2", 508.0),
        ("if(t > 0, 3, 1 / 0)", 3.0),
        ("if(MOMENTUM, 7, 1e38 * 10)", 7.0),
        ("(t < 2) + (t <= 1) + (t > 2) + (t >= 1) + (t == 1) + (t != 1)", 4.0),
        ("(not slow and nag) + (slow or t - 1) + (not (slow or nag))", 1.0),
        ("min(3, 4) + max(3, 4) + abs(-2) + floor(-2.5)", 6.0),
        ("sqrt(16) + exp(0) + ln(1) - -t", 6.0),
        ("grad_norm - 1 / 4", 1.75),
        ("k * 4", 3.0),
    ];
    for four in cases.chunks(4) {
        let kept: String = (0..).zip(four).map(|(i, (next, _))| format!("//! q{i} = \"{next}\"\n")).collect();
        let text = format!(
            "//! source = \"a test\"\n//! [settings]\n//! lr = {{ default = 0.01, min = 0, doc = \"rate\" }}\n\
             //! momentum = {{ default = 0.5, doc = \"number\" }}\n//! nag = {{ default = true, doc = \"flag\" }}\n\
             //! slow = {{ default = false, doc = \"flag\" }}\n//! [constants]\n//! MOMENTUM = \"momentum != 0\"\n\
             //! [scalars]\n//! k = \"1 - 0.5^(2 * t)\"\n//! [kept]\n{kept}fn update(old: Element) -> Element {{\n    \
             var e = old;\n    if MOMENTUM && (NAG || SLOW) {{ e.p *= vec4(at.q0, at.q1, at.q2, at.q3); }}\n    \
             return e;\n}}\n"
        );
        let rule = Rule::parse("mine", "mine.wgsl", &text).unwrap_or_else(|fault| panic!("{fault}"));
        let mut stepper = block_on(Stepper::new(gpu, rule.build(&[]).unwrap().0, &[vec![1.0; 4]])).unwrap();
        block_on(stepper.step(&[vec![1.0; 4]], 1.0)).unwrap();
        for (found, (next, expected)) in block_on(stepper.params()).unwrap()[0].iter().zip(four) {
            assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{next}: {found} is not {expected}");
        }
    }
}

/// An index out of range in a rule's own array reaches no other memory: the parameters have the same bits as without
/// it.
#[test]
fn indices_out_of_range_reach_nothing() {
    let Some(gpu) = gpu() else { return };
    let inputs = OptimizerInputs::new(&[1030, 5], 5);
    let plain = "    e.m = e.g;\n    e.p -= at.lr * e.g;";
    let wild = "    e.m = e.g;\n    e.p -= at.lr * e.g;\n    var a: array<vec4<f32>, 3>;\n    \
                let i = i32(bitcast<u32>(e.g.x)) - 5;\n    a[i] = vec4(7.0);\n    a[-i] = vec4(9.0);\n    \
                if a[2u * bitcast<u32>(e.g.y)].x == 3.0 { e.p = vec4(0.0); }";
    let run = |body: &str| {
        let mut stepper = stepper(gpu, &rule(body), &[], &inputs);
        for grads in &inputs.grads {
            block_on(stepper.step(&narrow(grads), 1.0)).unwrap();
        }
        block_on(stepper.params()).unwrap()
    };
    assert!(run(plain) == run(wild));
}

/// Rules that are loaded one after the other, as at every keystroke in an editor, leave no kernels behind.
#[test]
fn rules_leave_no_kernels() {
    let Some(_) = gpu() else { return };
    // This test needs a device of its own, because other tests compile kernels on the shared one.
    let gpu = velograd::host::device::open(None).unwrap();
    let inputs = OptimizerInputs::new(&[7], 1);
    let load = |i: usize| {
        let rule = rule(&format!("    e.p -= at.lr * e.g * {i}.0;"));
        block_on(stepper(&gpu, &rule, &[], &inputs).step(&narrow(&inputs.grads[0]), 1.0)).unwrap();
        gpu.kernels()
    };
    let counts: Vec<usize> = (1..12).map(load).collect();
    assert!(counts[10] <= counts[1] && counts[10] < 12, "{counts:?}");
}

/// An argument names a built-in rule in upper or lower case, or, by its suffix or a separator, a file.
#[test]
fn arguments_name_rules_or_files() {
    let folder = Folder::new("arguments");
    let path = folder.write("calm.wgsl", calm().as_bytes());
    let path = path.to_str().unwrap();
    let choice = rule_file::choose(path).unwrap();
    assert_eq!((choice.name(), choice.argument(), choice.text()), ("calm", path, Some(calm().as_str())));
    assert_eq!(rule_file::choose("AdamW").unwrap(), RuleChoice::from("adamw"));
    let refused = |argument: &str| rule_file::choose(argument).expect_err(argument).to_string();
    says(&refused("adamv"), &["no optimizer is called `adamv`", "did you mean `adam`"]);
    says(&refused("./adamw"), &["cannot read ./adamw"]);
    says(&refused("missing.wgsl"), &["cannot read missing.wgsl"]);
    folder.write("a,b.wgsl", calm().as_bytes());
    says(&refused(folder.0.join("a,b.wgsl").to_str().unwrap()), &["rename the file"]);
    // A file of a gigabyte and a file that never ends are refused.
    let sparse = folder.0.join("sparse.wgsl");
    fs::File::create(&sparse).unwrap().set_len(1 << 30).unwrap();
    says(&refused(sparse.to_str().unwrap()), &["at most 65536 bytes"]);
    #[cfg(unix)]
    says(&refused("/dev/zero"), &["an ordinary file"]);
    folder.write("bytes.wgsl", &[0xff, 0xfe]);
    says(&refused(folder.0.join("bytes.wgsl").to_str().unwrap()), &["UTF-8"]);
}

/// A run in parts has the bits of the same run as a whole, even if the rule's file is changed and then removed between
/// the parts and the last part runs from another folder: the text in `run.json` counts.
#[test]
fn a_run_goes_on_with_the_text_it_began_with() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("rule-resume");
    folder.write("data_batch_1.bin", &records(40));
    let file = folder.write("calm.wgsl", calm().as_bytes());
    let train = [
        "train",
        "--data",
        ".",
        "--width",
        "4",
        "--batch-size",
        "8",
        "--accumulate",
        "1",
        "--optimizer",
        "./calm.wgsl",
        "--set",
        "beta3=0.5",
    ];
    folder.works(&[&train[..], &["--epochs", "3", "--out", "whole"]].concat());
    folder.works(&[&train[..], &["--epochs", "1", "--out", "parts"]].concat());
    fs::write(&file, calm().replace("at.share * e.against", "0.5 * e.against")).unwrap();
    folder.works(&["train", "--resume", "parts", "--extend", "1"]);
    fs::remove_file(&file).unwrap();
    fs::create_dir(folder.0.join("elsewhere")).unwrap();
    Folder(folder.0.join("elsewhere")).works(&["train", "--resume", "../parts", "--extend", "1"]);
    let weights = |run: &str| fs::read(folder.0.join(run).join("model.safetensors")).unwrap();
    assert!(weights("whole") == weights("parts"), "not the same bits");
    let run: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.0.join("parts/run.json")).unwrap()).unwrap();
    assert_eq!(run["optimizer"], "calm");
    assert_eq!(run["rule"]["text"], calm());
    assert_eq!(run["settings"]["beta3"], 0.5);
    // A run cannot be resumed with another rule.
    folder.write("other.wgsl", calm().as_bytes());
    let said = folder.refused(2, &["train", "--resume", "parts", "--extend", "1", "--optimizer", "./other.wgsl"]);
    says(&said, &["another run", "optimizer"]);
}

/// A rule in a file is compared with a built-in one, resumed, swept, probed, planned, and used from a recipe beside it.
#[test]
fn a_rule_is_compared() {
    if gpu().is_none() {
        return;
    }
    let folder = Folder::new("rule-compare");
    folder.write("data_batch_1.bin", &records(40));
    folder.write("test_batch.bin", &records(20));
    let file = folder.write("calm.wgsl", calm().as_bytes());
    let small =
        ["--data", ".", "--width", "4", "--batch-size", "16", "--accumulate", "1", "--epochs", "1", "--seeds", "1"];
    let compare =
        [&["compare", "--optimizers", "adamw,./calm.wgsl", "--set", "calm:beta3=0.5", "--out", "c"], &small[..]]
            .concat();
    says(&folder.works(&compare), &["adamw", "calm"]);
    let read = |path: &str| -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(folder.0.join(path)).unwrap()).unwrap()
    };
    let run = read("c/runs/calm/seed-0/run.json");
    assert_eq!((&run["rule"]["text"], &run["settings"]["beta3"]), (&calm().into(), &0.5.into()));
    assert!(read("c/runs/adamw/seed-0/run.json")["rule"].is_null());
    assert!(fs::read_to_string(folder.0.join("c/table.md")).unwrap().contains("| calm |"));
    // The comparison continues with more seeds while the file is gone; it refuses another text, which is another rule.
    fs::remove_file(&file).unwrap();
    says(&folder.works(&[&compare[..], &["--seeds", "2"]].concat()), &["calm, seed 0: ended before", "calm, seed 1"]);
    fs::write(&file, calm().replace("0.95", "0.9")).unwrap();
    says(&folder.refused(2, &compare), &["calm.wgsl has changed since", "c/rules/calm.wgsl"]);
    fs::write(&file, calm()).unwrap();
    // Two rules of one name are refused.
    folder.write("adamw.wgsl", calm().as_bytes());
    let twice = ["compare", "--optimizers", "adamw,./adamw.wgsl", "--out", "d"];
    says(&folder.refused(2, &twice), &["`adamw` is there twice", "file's name"]);
    says(
        &folder.refused(2, &[&compare[..3], &["--set", "mine:lr=1", "--out", "d"]].concat()),
        &["`mine` is not compared", "adamw, calm"],
    );

    let sweep = [&["sweep", "--optimizers", "./calm.wgsl", "--lr", "0.01", "--out", "s"], &small[..]].concat();
    says(&folder.works(&sweep), &["calm"]);
    says(
        &folder.works(&["probe", "spike", "--quick", "--optimizers", "sgd,./calm.wgsl", "--set", "calm:beta3=0"]),
        &["calm"],
    );
    says(
        &folder.works(&["plan", "--width", "4", "--batch-size", "2", "--optimizer", "calm.wgsl"]),
        &["rule/calm calm", "state.against"],
    );
    folder.write("sub/calm.wgsl", calm().as_bytes());
    folder.write("sub/recipe.toml", b"optimizer = 'calm.wgsl'\nwidth = 4\nmax-steps = 1\nset = { beta1 = 0.5 }\n");
    folder.works(&["train", "--config", "sub/recipe.toml", "--data", ".", "--out", "r"]);
    assert_eq!(read("r/run.json")["settings"]["beta1"], 0.5);
    folder.write("sub/list.toml", b"optimizers = ['./calm.wgsl', 'sgd']\nwidth = 4\nmax-steps = 1\nseeds = 1\n");
    folder.works(&["compare", "--config", "sub/list.toml", "--data", ".", "--out", "l"]);
    assert!(folder.0.join("l/runs/calm/seed-0").exists());
}

/// `velograd optimizers` shows all rules, one by its name, or one in a file, writes a new file, and says what is wrong
/// with a file.
#[test]
fn optimizers_shows_and_writes_rules() {
    let folder = Folder::new("rule-show");
    let one = folder.works(&["optimizers", "AdamW"]);
    says(&one, &["adamw: torch.optim.AdamW", "2 words of state", "weight_decay"]);
    assert!(!one.contains("velograd:"), "{one}");
    says(&folder.refused(2, &["optimizers", "adamv"]), &["did you mean `adam`"]);
    folder.works(&["optimizers", "--new", "mine.wgsl"]);
    says(&folder.works(&["optimizers", "./mine.wgsl"]), &["mine: a rule of my own", "nesterov", "2 words of state"]);
    let json: serde_json::Value = serde_json::from_str(&folder.works(&["optimizers", "mine.wgsl", "--json"])).unwrap();
    assert_eq!((&json[0]["name"], &json[0]["settings"]["beta1"]), (&"mine".into(), &0.9.into()));
    fs::write(folder.0.join("mine.wgsl"), "// mine\n").unwrap();
    says(&folder.refused(2, &["optimizers", "--new", "mine.wgsl"]), &["mine.wgsl is there already"]);
    assert_eq!(fs::read_to_string(folder.0.join("mine.wgsl")).unwrap(), "// mine\n");
    says(&folder.refused(2, &["optimizers", "--new", "mine.txt"]), &["ends in .wgsl", "mine.wgsl does"]);
    folder.write("wrong.wgsl", calm().replace("e.m, at.one", "e.n, at.one").as_bytes());
    for command in [
        &["optimizers", "./wrong.wgsl"][..],
        &["train", "--optimizer", "wrong.wgsl"],
        &["compare", "--optimizers", "wrong.wgsl", "--out", "x"],
    ] {
        says(
            &folder.refused(2, command),
            &["wrong.wgsl:31:21: invalid field accessor `n`", "31 |     e.m = average(e.n"],
        );
    }
    let all = folder.works(&["optimizers"]);
    for line in one.lines().chain(all.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    optim::ALL.iter().for_each(|rule| says(&all, &[&format!("{}: ", rule.name)]));
}
