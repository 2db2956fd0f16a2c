//! Turns a shader's name and options into validated WGSL: imports, a `const` prelude, textual unrolling, reflection.
//!
//! The linker knows two directives, each on a line of its own:
//!
//! * `#import name` pastes `shaders/shared/name.wgsl`, once. A [`Spec`] may map `name` to another file: that is how a
//!   matrix-product core and one of the two reductions are selected.
//! * `#unroll i COUNT` ... `#end` repeats the lines between, with `$i` replaced by 0, 1, ...; `COUNT` is a number or one
//!   of the prelude's constants. Neither naga nor most drivers unroll loops, and `subgroupBroadcast` requires a constant.
//!
//! Tile sizes and switches, which change the code, are `const`s; sizes that only change how often a loop runs are
//! fields of the uniform `Sizes`. A const never changes the list of bindings: a kernel with other buffers is another
//! file.

use std::{borrow::Cow, fmt, sync::Arc};

use naga::valid::GlobalUse;

include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// The files in `shaders/shared/` that need cooperative matrices, an extension to be enabled: 8 by 8 and 16 by 16.
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

/// A shader and its options. Equal specs share one pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// The path below `shaders/` without the suffix, e.g. `conv2d/forward`; with a `source`, the name of the kernel.
    pub path: Cow<'static, str>,
    /// Whether activations (the prelude's `scalar`) are f16.
    pub half: bool,
    /// The constants of the prelude, in order.
    pub consts: Vec<(Cow<'static, str>, Const)>,
    /// Pairs of `(name, file)`: `#import name` pastes `shaders/shared/file.wgsl`.
    pub imports: Vec<(&'static str, &'static str)>,
    /// The text of a kernel that is not a file below `shaders/`.
    pub source: Option<Arc<Source>>,
}

impl Spec {
    /// The shader at this path, without options.
    pub fn new(path: impl Into<Cow<'static, str>>) -> Self {
        Self { path: path.into(), half: false, consts: vec![], imports: vec![], source: None }
    }

    /// Whether part of the text came from outside the program. Such a shader is compiled with every run-time check.
    pub fn is_foreign(&self) -> bool {
        self.source.as_ref().is_some_and(|source| source.pieces.iter().any(|piece| piece.foreign))
    }
}

/// A kernel's text, put together from pieces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The pieces, in order.
    pub pieces: Vec<Piece>,
}

/// A piece of a [`Source`]: whole lines, with the linker's directives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Piece {
    /// The file that it comes from, as faults name it.
    pub file: String,
    /// The text, from the file's first line on, so that line numbers are the file's.
    pub text: String,
    /// Whether it came from outside the program. Such a piece cannot import.
    pub foreign: bool,
}

/// Why a shader is not valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The file, and the line and the column in it, both counted from 1, if they are known.
    pub place: Option<(String, usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// naga's message with the surrounding lines of the linked text.
    pub excerpt: String,
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
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
    /// How the kernel uses it.
    pub access: Access,
    /// Whether any line loads from it.
    pub loaded: bool,
    /// Whether any line stores to it.
    pub stored: bool,
    /// The scalar type of its elements, which may be vectors of it; `None` for a struct.
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

/// A linked and validated shader and its bindings.
pub struct Linked {
    /// The WGSL given to the driver.
    pub source: String,
    /// naga's module.
    pub module: naga::Module,
    /// What naga's validator found out about the module; the back ends need it.
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

/// Links, parses and validates a shader, and reflects its bindings.
///
/// # Panics
/// If the shader is not valid, with the file, the line and naga's message: shaders are part of the program.
pub fn link(spec: &Spec) -> Linked {
    try_link(spec).unwrap_or_else(|fault| {
        let place = fault.place.map_or(String::new(), |(file, line, _)| format!(" at {file}:{line}"));
        panic!("shader `{spec}`{place}:\n{}\n{}", fault.message, fault.excerpt)
    })
}

/// As [`link`], for a shader with text from outside the program.
///
/// # Errors
/// What is wrong with the text, and where.
///
/// # Panics
/// If a file below `shaders/` is missing, or its directives are wrong.
pub fn try_link(spec: &Spec) -> Result<Linked, Fault> {
    let linker = assemble(spec)?;
    let source = linker.text();
    let fault = |message: String, excerpt: String, location: Option<naga::SourceLocation>| {
        let place = location.and_then(|at| {
            let (_, file, line) = linker.lines.get(at.line_number as usize - 1)?;
            Some((file.clone(), *line, at.line_position as usize))
        });
        Fault { place, message, excerpt }
    };
    let module = naga::front::wgsl::parse_str(&source)
        .map_err(|e| fault(e.message().to_owned(), e.emit_to_string(&source), e.location(&source)))?;
    let mut validator =
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::all());
    validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
    validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
    let info = validator.validate(&module).map_err(|e| {
        // The innermost cause says most, and has the most precise place.
        let span = e.spans().last().map(|(span, _)| span.location(&source));
        fault(innermost(e.as_inner()), e.emit_to_string(&source), span.or_else(|| e.location(&source)))
    })?;
    Ok(reflect(spec, source, module, info))
}

/// The innermost cause of an error.
pub fn innermost(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    causes.last().map_or_else(String::new, ToString::to_string)
}

/// The lines of the linked text, each with the file that it is from and its number there.
///
/// # Errors
/// As [`try_link`].
pub fn lines(spec: &Spec) -> Result<Vec<(String, String, usize)>, Fault> {
    assemble(spec).map(|linker| linker.lines)
}

fn assemble(spec: &Spec) -> Result<Linker<'_>, Fault> {
    let mut linker = Linker { spec, lines: Vec::new(), imported: Vec::new(), met: (0, 0) };
    if spec.imports.iter().any(|(_, file)| COOPERATIVE.contains(file)) {
        linker.prelude("enable wgpu_cooperative_matrix;".into());
    }
    // The type that activations are stored as.
    let scalar = if spec.half { ["enable f16;", "alias scalar = f16;"].as_slice() } else { &["alias scalar = f32;"] };
    scalar.iter().for_each(|line| linker.prelude((*line).into()));
    for (name, value) in &spec.consts {
        linker.prelude(match value {
            Const::U32(v) => format!("const {name}: u32 = {v}u;"),
            Const::Bool(v) => format!("const {name}: bool = {v};"),
        });
    }
    match &spec.source {
        None => linker.file(&spec.path),
        Some(source) => {
            for Piece { file, text, foreign } in &source.pieces {
                let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).collect();
                let from = Origin { file, foreign: *foreign };
                linker.block(&from, &lines, &[])?;
            }
        }
    }
    Ok(linker)
}

/// The most lines to which a text from outside the program may unroll. A directive counts each time it is met, so that
/// empty repetitions end too.
const MOST_LINES: usize = 20_000;

/// The most bytes of these lines.
const MOST_BYTES: usize = 1 << 20;

/// The most repetitions of an `#unroll` in such a text.
const MOST_TURNS: u32 = 64;

/// The deepest nesting of `#unroll`s in such a text; each level is a recursion.
const DEEPEST: usize = 8;

struct Linker<'a> {
    spec: &'a Spec,
    /// The text of each line, the file that it is from and its number there.
    lines: Vec<(String, String, usize)>,
    imported: Vec<&'static str>,
    /// The number of lines from outside the program that were met so far, and of their bytes.
    met: (usize, usize),
}

/// Where lines come from.
struct Origin<'a> {
    file: &'a str,
    foreign: bool,
}

impl Origin<'_> {
    /// Reports a wrong directive: the fault if the text came from outside the program, a panic if it is one of ours.
    fn fault(&self, line: usize, message: String) -> Fault {
        assert!(self.foreign, "{}:{line}: {message}", self.file);
        Fault { place: Some((self.file.to_owned(), line, 1)), message, excerpt: String::new() }
    }
}

impl Linker<'_> {
    fn text(&self) -> String {
        self.lines.iter().flat_map(|(text, ..)| [text, "\n"]).collect()
    }

    fn prelude(&mut self, line: String) {
        self.lines.push((line, "prelude".into(), 0));
    }

    fn file(&mut self, path: &str) {
        let Some((_, text)) = SHADERS.iter().find(|(name, _)| *name == path) else {
            panic!("shader `{}` needs shaders/{path}.wgsl, which does not exist", self.spec)
        };
        let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).collect();
        let from = Origin { file: &format!("shaders/{path}.wgsl"), foreign: false };
        self.block(&from, &lines, &[]).unwrap_or_else(|fault| panic!("{}", fault.message));
    }

    /// Links `lines`, with the loop variables of the `#unroll`s around them replaced by their values.
    fn block(&mut self, from: &Origin<'_>, lines: &[(usize, &str)], bound: &[(&str, u32)]) -> Result<(), Fault> {
        let mut at = 0;
        while let Some(&(number, line)) = lines.get(at) {
            at += 1;
            if from.foreign {
                self.meet(from, number, line)?;
            }
            let trimmed = line.trim();
            if let (Some(name), false) = (trimmed.strip_prefix("#import "), from.foreign) {
                let mapped = self.spec.imports.iter().find(|(from, _)| *from == name).map_or(name, |(_, to)| to);
                let known = SHADERS.iter().find_map(|(path, _)| path.strip_prefix("shared/").filter(|n| *n == mapped));
                let known = known.unwrap_or_else(|| panic!("{}:{number}: there is no shared/{mapped}.wgsl", from.file));
                if !self.imported.contains(&known) {
                    self.imported.push(known);
                    self.file(&format!("shared/{mapped}"));
                }
            } else if let Some(rest) = trimmed.strip_prefix("#unroll ") {
                if from.foreign && bound.len() == DEEPEST {
                    return Err(from.fault(number, format!("#unroll is nested more than {DEEPEST} deep")));
                }
                let mut words = rest.split_whitespace();
                let (variable, count) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
                let body = &lines[at..];
                let len = closing(body).ok_or_else(|| from.fault(number, "#unroll without #end".into()))?;
                for i in 0..self.count(from, number, count)? {
                    self.block(from, &body[..len], &[bound, &[(variable, i)]].concat())?;
                }
                at += len + 1;
            } else if trimmed.starts_with('#') {
                let known = if from.foreign { "a rule knows #unroll NAME COUNT and #end" } else { "unknown directive" };
                return Err(from.fault(number, format!("`{trimmed}`: {known}")));
            } else {
                let mut text = line.to_owned();
                for (variable, value) in bound {
                    text = text.replace(&format!("${variable}"), &value.to_string());
                }
                self.lines.push((text, from.file.to_owned(), number));
            }
        }
        Ok(())
    }

    /// Counts a line of a text from outside the program, and refuses it if that makes too many.
    fn meet(&mut self, from: &Origin<'_>, number: usize, line: &str) -> Result<(), Fault> {
        self.met = (self.met.0 + 1, self.met.1 + line.len());
        if self.met.0 > MOST_LINES {
            return Err(from.fault(number, format!("#unroll makes more than {MOST_LINES} lines")));
        }
        if self.met.1 > MOST_BYTES {
            return Err(from.fault(number, format!("#unroll makes more than {MOST_BYTES} bytes")));
        }
        Ok(())
    }

    fn count(&self, from: &Origin<'_>, number: usize, word: &str) -> Result<u32, Fault> {
        let constant = || match self.spec.consts.iter().find(|(name, _)| *name == word) {
            Some((_, Const::U32(n))) => Some(*n),
            _ => None,
        };
        match word.parse().ok().or_else(constant) {
            Some(n) if from.foreign && n > MOST_TURNS => {
                Err(from.fault(number, format!("#unroll repeats at most {MOST_TURNS} times, not {n}")))
            }
            Some(n) => Ok(n),
            None => Err(from.fault(number, format!("`{word}` is no whole number, and no constant that is one"))),
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
