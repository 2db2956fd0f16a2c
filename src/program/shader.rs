//! From a shader's name and choices to checked WGSL: imports, a prelude of `const`s, textual unrolling, reflection.
//!
//! The linker knows two directives, each on a line of its own:
//!
//! * `#import name` pastes `shaders/shared/name.wgsl`, once. A [`Spec`] may map `name` to another file: that is how the
//!   matrix-product cores and the two reductions are exchanged.
//! * `#unroll i COUNT` ... `#end` repeats the lines between, with `$i` replaced by 0, 1, ...; `COUNT` is a number or one
//!   of the prelude's constants. Neither naga nor most drivers unroll loops, and `subgroupBroadcast` wants a constant.
//!
//! What changes the shape of a loop is a `const`, what changes its length is a field of the uniform `Sizes`. A const
//! never changes the list of bindings: a kernel with other buffers is another file.

use std::fmt;

use naga::valid::GlobalUse;

include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// The files in `shaders/shared/` that need cooperative matrices of 8 by 8 and of 16 by 16, an extension to be enabled.
pub const COOPERATIVE: [&str; 2] = ["matrix_8", "matrix_16"];

/// A `const` of the prelude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Const {
    /// `const NAME: u32`.
    U32(u32),
    /// `const NAME: bool`.
    Bool(bool),
}

impl From<u32> for Const {
    fn from(value: u32) -> Self {
        Self::U32(value)
    }
}

impl From<bool> for Const {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// Which shader, with which choices. Two equal specs are one pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// Path below `shaders/` without the suffix, e.g. `conv2d/forward`.
    pub path: &'static str,
    /// Activations are f16: `scalar` of the prelude.
    pub half: bool,
    /// The prelude, in order.
    pub consts: Vec<(&'static str, Const)>,
    /// `(name, file)`: `#import name` brings `shaders/shared/file.wgsl`.
    pub imports: Vec<(&'static str, &'static str)>,
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)?;
        if self.half {
            f.write_str(" f16")?;
        }
        for (name, value) in &self.consts {
            match value {
                Const::U32(v) => write!(f, " {}={v}", name.to_lowercase())?,
                Const::Bool(true) => write!(f, " {}", name.to_lowercase())?,
                Const::Bool(false) => {}
            }
        }
        self.imports.iter().try_for_each(|(_, file)| write!(f, " [{file}]"))
    }
}

/// How a kernel uses one of its buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    ReadWrite,
}

/// One storage buffer of a kernel, as the WGSL declares it.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The number in `@binding(n)`.
    pub index: u32,
    /// The variable's name.
    pub name: String,
    /// Read or read and write.
    pub access: Access,
    /// Whether any line loads from it.
    pub loaded: bool,
    /// Whether any line stores to it.
    pub stored: bool,
    /// What it is an array of, its vectors taken apart; `None` for a struct.
    pub element: Option<naga::Scalar>,
}

/// A field of the uniform struct `Sizes`.
#[derive(Clone, Debug)]
pub struct Field {
    /// The field's name; [`crate::program::CallBuilder::size`] uses it.
    pub name: String,
    /// Bytes from the start of the struct.
    pub offset: u32,
    /// Whether the field is an `f32`; otherwise it is a `u32`.
    pub float: bool,
}

/// A linked and validated shader with what its bindings are.
pub struct Linked {
    /// The WGSL given to the driver.
    pub source: String,
    /// naga's module.
    pub module: naga::Module,
    /// What naga's validator found out about it; the back ends need it.
    pub info: naga::valid::ModuleInfo,
    /// Storage buffers in binding order.
    pub storage: Vec<Binding>,
    /// Binding number, span in bytes and fields of `var<uniform> sizes: Sizes`.
    pub sizes: Option<(u32, u32, Vec<Field>)>,
    /// Binding number and span in bytes of `var<uniform> step: Step`.
    pub step: Option<(u32, u32)>,
    /// `@workgroup_size`.
    pub workgroup_size: [u32; 3],
}

/// Links, parses, validates and reflects.
///
/// # Panics
/// With the file, line and naga's message if the shader is not valid: shaders are part of the program.
pub fn link(spec: &Spec) -> Linked {
    let mut linker = Linker { spec, lines: Vec::new(), imported: Vec::new() };
    if spec.imports.iter().any(|(_, file)| COOPERATIVE.contains(file)) {
        linker.lines.push(("enable wgpu_cooperative_matrix;".into(), "prelude".into(), 0));
    }
    // What activations are stored as.
    let scalar = if spec.half { ["enable f16;", "alias scalar = f16;"].as_slice() } else { &["alias scalar = f32;"] };
    linker.lines.extend(scalar.iter().map(|line| ((*line).to_owned(), "prelude".into(), 0)));
    for (name, value) in &spec.consts {
        let text = match value {
            Const::U32(v) => format!("const {name}: u32 = {v}u;"),
            Const::Bool(v) => format!("const {name}: bool = {v};"),
        };
        linker.lines.push((text, "prelude".into(), 0));
    }
    linker.file(spec.path);
    let source: String = linker.lines.iter().flat_map(|(text, ..)| [text, "\n"]).collect();
    let located = |message: String, line: Option<u32>| {
        let place = line.and_then(|l| linker.lines.get(l as usize - 1));
        let place = place.map_or(String::new(), |(_, file, line)| format!(" at shaders/{file}.wgsl:{line}"));
        panic!("shader `{spec}`{place}:\n{message}")
    };
    let module = naga::front::wgsl::parse_str(&source).unwrap_or_else(|e| {
        located(e.emit_to_string(&source), e.location(&source).map(|l| l.line_number));
        unreachable!()
    });
    let mut validator =
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::all());
    validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
    validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
    let info = validator.validate(&module).unwrap_or_else(|e| {
        located(e.emit_to_string(&source), e.location(&source).map(|l| l.line_number));
        unreachable!()
    });
    reflect(spec, source, module, info)
}

struct Linker<'a> {
    spec: &'a Spec,
    /// Text, file it came from, line there.
    lines: Vec<(String, String, usize)>,
    imported: Vec<&'a str>,
}

impl<'a> Linker<'a> {
    fn file(&mut self, path: &str) {
        let Some((_, text)) = SHADERS.iter().find(|(name, _)| *name == path) else {
            panic!("shader `{}` needs shaders/{path}.wgsl, which does not exist", self.spec)
        };
        let lines: Vec<(usize, &'static str)> = (1..).zip(text.lines()).collect();
        self.block(path, &lines, &[]);
    }

    /// Emits `lines`, with the loop variables bound so far substituted.
    fn block(&mut self, path: &str, lines: &[(usize, &'static str)], bound: &[(&str, u32)]) {
        let mut at = 0;
        while let Some(&(number, line)) = lines.get(at) {
            at += 1;
            let trimmed = line.trim();
            if let Some(name) = trimmed.strip_prefix("#import ") {
                let mapped = self.spec.imports.iter().find(|(from, _)| *from == name).map_or(name, |(_, to)| to);
                if !self.imported.contains(&mapped) {
                    self.imported.push(mapped);
                    self.file(&format!("shared/{mapped}"));
                }
            } else if let Some(rest) = trimmed.strip_prefix("#unroll ") {
                let mut words = rest.split_whitespace();
                let (variable, count) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let body = &lines[at..];
                let len = closing(body).unwrap_or_else(|| panic!("shaders/{path}.wgsl:{number}: #unroll without #end"));
                for i in 0..self.count(path, number, count) {
                    self.block(path, &body[..len], &[bound, &[(variable, i)]].concat());
                }
                at += len + 1;
            } else {
                assert!(!trimmed.starts_with('#'), "shaders/{path}.wgsl:{number}: unknown directive `{trimmed}`");
                let mut text = line.to_owned();
                for (variable, value) in bound {
                    text = text.replace(&format!("${variable}"), &value.to_string());
                }
                self.lines.push((text, path.to_owned(), number));
            }
        }
    }

    fn count(&self, path: &str, number: usize, word: &str) -> u32 {
        if let Ok(n) = word.parse() {
            return n;
        }
        match self.spec.consts.iter().find(|(name, _)| *name == word) {
            Some((_, Const::U32(n))) => *n,
            _ => panic!("shaders/{path}.wgsl:{number}: `{word}` is neither a number nor a constant of `{}`", self.spec),
        }
    }
}

/// Index of the `#end` that closes a block whose first line is `lines[0]`.
fn closing(lines: &[(usize, &str)]) -> Option<usize> {
    let mut depth = 0;
    for (i, (_, line)) in lines.iter().enumerate() {
        match line.split_whitespace().next() {
            Some("#unroll") => depth += 1,
            Some("#end") if depth == 0 => return Some(i),
            Some("#end") => depth -= 1,
            _ => {}
        }
    }
    None
}

fn reflect(spec: &Spec, source: String, module: naga::Module, info: naga::valid::ModuleInfo) -> Linked {
    let [entry] = &module.entry_points[..] else { panic!("shader `{spec}`: exactly one entry point is expected") };
    assert_eq!(entry.name, "main", "shader `{spec}`: the entry point's name");
    let workgroup_size = entry.workgroup_size;
    let (mut storage, mut sizes, mut step) = (Vec::new(), None, None);
    for (handle, variable) in module.global_variables.iter() {
        let Some(binding) = &variable.binding else { continue };
        let name = variable.name.clone().unwrap_or_default();
        match variable.space {
            naga::AddressSpace::Storage { access } => {
                let write = access.contains(naga::StorageAccess::STORE);
                let access = if write { Access::ReadWrite } else { Access::Read };
                let uses = info.get_entry_point(0)[handle];
                let (loaded, stored) = (uses.contains(GlobalUse::READ), uses.contains(GlobalUse::WRITE));
                let element = element(&module, variable.ty);
                storage.push(Binding { index: binding.binding, name, access, loaded, stored, element });
            }
            naga::AddressSpace::Uniform => {
                let naga::TypeInner::Struct { members, span } = &module.types[variable.ty].inner else {
                    panic!("shader `{spec}`: uniform `{name}` is not a struct")
                };
                match name.as_str() {
                    "sizes" => {
                        let fields = members.iter().map(|m| field(spec, &module, m)).collect();
                        sizes = Some((binding.binding, *span, fields));
                    }
                    "step" => step = Some((binding.binding, *span)),
                    _ => panic!("shader `{spec}`: a uniform is called `sizes` or `step`, not `{name}`"),
                }
            }
            other => panic!("shader `{spec}`: `{name}` lives in {other:?}"),
        }
    }
    storage.sort_by_key(|b| b.index);
    Linked { source, module, info, storage, sizes, step, workgroup_size }
}

fn element(module: &naga::Module, ty: naga::Handle<naga::Type>) -> Option<naga::Scalar> {
    match module.types[ty].inner {
        naga::TypeInner::Scalar(scalar) | naga::TypeInner::Vector { scalar, .. } => Some(scalar),
        naga::TypeInner::Array { base, .. } => element(module, base),
        _ => None,
    }
}

fn field(spec: &Spec, module: &naga::Module, member: &naga::StructMember) -> Field {
    let name = member.name.clone().unwrap_or_default();
    let float = match module.types[member.ty].inner {
        naga::TypeInner::Scalar(naga::Scalar::U32) => false,
        naga::TypeInner::Scalar(naga::Scalar::F32) => true,
        ref other => panic!("shader `{spec}`: `sizes.{name}` is {other:?}; only u32 and f32 are packed"),
    };
    Field { name, offset: member.offset, float }
}
