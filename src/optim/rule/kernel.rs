//! Writes the kernels around a rule: bindings, loads and stores, and the calls of the rule's functions.
//!
//! All text written here stands before the rule's text. If both declare the same name, the rule's declaration is
//! therefore the second, and the one that naga reports.

use std::fmt::Write as _;

use super::header::Over;

/// What the kernels of a rule are written from.
pub struct Parts<'a> {
    /// All state buffers of the header, and whether each exists under the rule's settings.
    pub state: Vec<(&'a str, bool)>,
    /// The fields of an element that `measure` reads: `p` and state buffers.
    pub measured: Vec<&'a str>,
    /// The settings that a kernel reads.
    pub settings: Vec<&'a str>,
    /// The scalars that a kernel reads. Each has the index of its component in the update's row, or `None` if it does
    /// not change.
    pub scalars: Vec<(&'a str, Option<usize>)>,
    /// All numbers of the header that the device may keep, and whether it does under the rule's settings.
    pub kept: Vec<(&'a str, bool)>,
    /// Whether weight decay is read.
    pub weight_decay: bool,
    /// What the sums of `measure` run over, if the rule has this function.
    pub over: Option<Over>,
}

/// The name of the field of `Sizes` that holds a setting.
pub fn setting_field(key: &str) -> String {
    format!("setting_{key}")
}

/// The name of the field of `Sizes` that holds a scalar which does not change.
pub fn scalar_field(name: &str) -> String {
    format!("scalar_{name}")
}

/// The kernels of a rule.
#[derive(Clone, Copy, PartialEq)]
enum Kernel {
    Update,
    Measure,
    Keep,
}

impl Parts<'_> {
    /// The kernel that updates all elements: a workgroup takes a chunk, or a block if the rule has `measure`. Its
    /// storage buffers are the report, the chunks' decays (if read) or the blocks, the gradients, the parameters, the
    /// state buffers, then the sums, then the numbers that the device keeps.
    pub fn update(&self) -> String {
        let mut text = self.beginning(Kernel::Update);
        self.entry(&mut text, Kernel::Update);
        text += "        let after = update(before);\n        params[index] = after.p;\n";
        for name in self.words(Kernel::Update) {
            writeln!(text, "        state_{name}[index] = after.{name};").expect("writing to a string");
        }
        text + "    }\n}\n"
    }

    /// The kernel that sums, for each block, what `measure` returns and the squared gradient. Its storage buffers are
    /// the report, the blocks, the gradients, those of the parameters and state buffers that `measure` reads, the sums
    /// that it writes, then the numbers that the device keeps.
    pub fn measure(&self) -> String {
        let mut text = self.beginning(Kernel::Measure);
        self.entry(&mut text, Kernel::Measure);
        text + "        sum += vec4<f32>(measure(before), dot(before.g, before.g));\n    }\n    \
                let total = reduce_sum(lane, sum);\n    if lane == 0u { sums[number] = total; }\n}\n"
    }

    /// The kernel that updates the numbers that the device keeps: `lines` are the statements that compute the next
    /// values, and `next` are the names of these values in them. Its storage buffers are the report and the numbers.
    pub fn keep(&self, lines: &str, next: &[String]) -> String {
        let mut text = self.beginning(Kernel::Keep);
        text += "@compute @workgroup_size(1)\nfn main() {\n    if report.skip != 0u { return; }\n    prepare();\n";
        text += lines;
        for (i, next) in next.iter().enumerate() {
            writeln!(text, "    kept[{i}] = {next};").expect("writing to a string");
        }
        text + "}\n"
    }

    /// The state buffers that a kernel uses.
    fn words(&self, kernel: Kernel) -> impl Iterator<Item = &str> {
        let there = self.state.iter().filter(|(_, there)| *there).map(|(name, _)| *name);
        there.filter(move |name| kernel == Kernel::Update || self.measured.contains(name))
    }

    /// Whether a kernel uses the parameters.
    fn params(&self, kernel: Kernel) -> bool {
        kernel == Kernel::Update || self.measured.contains(&"p")
    }

    /// The first field of `Sizes`: the number of vec4s or of blocks that the kernel works on.
    fn counter(&self, kernel: Kernel) -> Option<&'static str> {
        match kernel {
            Kernel::Keep => None,
            Kernel::Update if self.over.is_none() => Some("len4: u32"),
            _ => Some("blocks: u32"),
        }
    }

    fn beginning(&self, kernel: Kernel) -> String {
        let blocks = kernel == Kernel::Measure || (kernel == Kernel::Update && self.over.is_some());
        let decays = kernel == Kernel::Update && self.over.is_none() && self.weight_decay;
        let mut imports = vec!["report", "update"];
        imports.extend(if kernel == Kernel::Keep { &["expression"][..] } else { &["grid", "average"] });
        imports.extend(blocks.then_some("blocks"));
        imports.extend((kernel == Kernel::Measure).then_some("reduce"));
        imports.extend(decays.then_some("decay"));
        let mut text: String = imports.iter().map(|name| format!("#import {name}\n")).collect();

        let mut fields: Vec<String> = self.counter(kernel).map(str::to_owned).into_iter().collect();
        fields.extend((self.weight_decay && kernel != Kernel::Keep).then(|| "weight_decay: f32".to_owned()));
        fields.extend(self.settings.iter().map(|key| setting_field(key) + ": f32"));
        let fixed = self.scalars.iter().filter(|(_, row)| row.is_none());
        fields.extend(fixed.map(|(name, _)| scalar_field(name) + ": f32"));
        let mut bindings = Vec::new();
        if !fields.is_empty() {
            writeln!(text, "struct Sizes {{ {} }}", fields.join(", ")).expect("writing to a string");
            bindings.push("var<uniform> sizes: Sizes;".to_owned());
        }
        bindings.push("var<uniform> step: Step;".to_owned());
        bindings.push("var<storage, read> report: Report;".to_owned());
        let mut array = |name: &str, access: &str, of: &str| {
            bindings.push(format!("var<storage, {access}> {name}: array<{of}>;"));
        };
        if blocks {
            array("blocks", "read", "Block");
        }
        if decays {
            array("decays", "read", "f32");
        }
        if kernel != Kernel::Keep {
            let access = if kernel == Kernel::Update { "read_write" } else { "read" };
            array("grads", "read", "vec4<f32>");
            if self.params(kernel) {
                array("params", access, "vec4<f32>");
            }
            for name in self.words(kernel) {
                array(&format!("state_{name}"), access, "vec4<f32>");
            }
            match kernel {
                Kernel::Measure => array("sums", "read_write", "vec4<f32>"),
                _ if blocks => array("totals", "read", "vec4<f32>"),
                _ => {}
            }
        }
        if self.kept.iter().any(|(_, there)| *there) {
            array("kept", if kernel == Kernel::Keep { "read_write" } else { "read" }, "f32");
        }
        for (i, binding) in bindings.iter().enumerate() {
            writeln!(text, "@group(0) @binding({i}) {binding}").expect("writing to a string");
        }
        self.types(&mut text);
        text
    }

    /// Writes the types and variables that the rule's functions see, and the function `prepare`, which sets the
    /// variables.
    fn types(&self, text: &mut String) {
        let state: String = self.state.iter().map(|(name, _)| format!(", {name}: vec4<f32>")).collect();
        let decay = if self.weight_decay { ", weight_decay: f32" } else { "" };
        let sums = if self.over.is_some() { ", sums: vec3<f32>" } else { "" };
        writeln!(text, "struct Element {{ p: vec4<f32>, g: vec4<f32>{decay}{sums}{state} }}")
            .expect("writing to a string");
        let mut assign = String::new();
        if !self.settings.is_empty() {
            let list = |field: &dyn Fn(&str) -> String| -> String {
                self.settings.iter().map(|key| field(key)).collect::<Vec<_>>().join(", ")
            };
            writeln!(text, "struct Settings {{ {} }}", list(&|key| format!("{key}: f32")))
                .expect("writing to a string");
            *text += "var<private> settings: Settings;\n";
            let values = list(&|key| format!("sizes.{}", setting_field(key)));
            writeln!(assign, "    settings = Settings({values});").expect("writing to a string");
        }
        let mut fields = vec!["lr: f32".to_owned(), "t: f32".into(), "grad_norm: f32".into()];
        let mut values =
            vec!["step.lr".to_owned(), "f32(number_of_update(report.skipped))".into(), "report.bounded_norm".into()];
        for (name, row) in &self.scalars {
            fields.push(format!("{name}: f32"));
            values.push(
                row.map_or_else(|| format!("sizes.{}", scalar_field(name)), |i| format!("row.{}", &"xyzw"[i..=i])),
            );
        }
        let mut place = 0..;
        for (name, there) in &self.kept {
            fields.push(format!("{name}: f32"));
            values.push(if *there { format!("kept[{}]", place.next().unwrap_or(0)) } else { "0.0".into() });
        }
        if self.scalars.iter().any(|(_, row)| row.is_some()) {
            assign += "    let row = scalars_of_update(report.skipped);\n";
        }
        writeln!(text, "struct Update {{ {} }}", fields.join(", ")).expect("writing to a string");
        *text += "var<private> at: Update;\nfn prepare() {\n";
        writeln!(text, "{assign}    at = Update({});\n}}", values.join(", ")).expect("writing to a string");
    }

    /// Writes the entry point up to the call of the rule's function. It ends inside a loop over the workgroup's
    /// elements, which has loaded the element `before`.
    fn entry(&self, text: &mut String, kernel: Kernel) {
        let (blocks, updates) = (self.over.is_some(), kernel == Kernel::Update);
        let mut line = |line: &str| {
            *text += line;
            text.push('\n');
        };
        line(if blocks { "@compute @workgroup_size(LANES)" } else { "@compute @workgroup_size(64)" });
        line("fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,");
        line("        @builtin(local_invocation_index) lane: u32) {");
        if updates {
            line("    if report.skip != 0u { return; }");
        }
        line("    let number = flat_group(group, groups);");
        if blocks {
            line("    if number >= sizes.blocks { return; }");
            line("    let block = blocks[number];");
        }
        line("    prepare();");
        line("    var before: Element;");
        match (self.weight_decay, blocks) {
            (true, true) => line("    before.weight_decay = sizes.weight_decay * block.decay;"),
            (true, false) => line("    before.weight_decay = weight_decay_of(number);"),
            (false, _) => {}
        }
        if blocks && updates {
            line("    before.sums = totals[block.segment].xyz;");
        }
        if !updates {
            line("    var sum = vec4<f32>();");
        }
        if blocks {
            line("    for (var k = lane; k < block.len4; k += LANES) {");
            line("        let index = block.first4 + k;");
        } else {
            line("    let base = number * 256u + lane;");
            line("    for (var index = base; index < min(base + 256u, sizes.len4); index += 64u) {");
        }
        if self.params(kernel) {
            line("        before.p = params[index];");
        }
        line("        before.g = grads[index];");
        for name in self.words(kernel) {
            line(&format!("        before.{name} = state_{name}[index];"));
        }
    }
}
