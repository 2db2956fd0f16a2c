//! The second check reads naga's module, in which no spelling can hide what a function accesses.

use naga::{
    Expression, Statement,
    valid::{Capabilities, ValidationFlags, Validator},
};

use super::{super::Fault, MOST_TURNS, scan};
use crate::program::shader::{Linked, innermost};

/// The most operations that a function may take for four parameters. Loops and calls count as often as they may run.
const MOST_OPERATIONS: u64 = 10_000;

/// The most bytes of a variable, a constant or a value.
const MOST_BYTES: u32 = 1024;

/// The most bytes of all variables and constants of a rule.
const MOST_IN_ALL: u64 = 16 << 10;

/// Refuses to let a rule declare names that the text around it uses, because the rule's declarations would apply there
/// too. `lines` are those of the linked text.
pub fn names(file: &str, lines: &[Line], declared: &[(String, (usize, usize))]) -> Result<(), Fault> {
    let others = lines.iter().filter(|(_, from, _)| from != file);
    let others = scan(others.map(|(text, _, line)| (*line, text.as_str())))?;
    let taken = |name: &str| !["update", "measure"].contains(&name) && others.iter().any(|token| token.text == name);
    match declared.iter().find(|(name, _)| taken(name)) {
        Some((name, place)) => {
            Err(Fault::new(*place, format!("`{name}` is a name that the linker uses: choose another")))
        }
        None => Ok(()),
    }
}

/// A line of the linked text: its text, the file that it is from, and its number there.
type Line = (String, String, usize);

/// Checks what the functions of a rule do, in naga's module of a kernel that contains them.
pub fn module(file: &str, linked: &Linked, lines: &[Line], declared: &[(String, (usize, usize))]) -> Result<(), Fault> {
    let module = &linked.module;
    let place = |span: naga::Span| {
        let at = span.is_defined().then(|| span.location(&linked.source));
        let line = at.and_then(|at| Some((lines.get(at.line_number as usize - 1)?, at.line_position as usize)));
        line.filter(|((_, from, _), _)| from == file).map(|((.., number), column)| (*number, column))
    };
    let size = |ty: naga::Handle<naga::Type>| module.types[ty].inner.size(module.to_ctx());
    let (mut costs, mut in_all): (Vec<u64>, u64) = (Vec::new(), 0);
    let mut fits = |what: &str, ty: naga::Handle<naga::Type>| {
        let bytes = size(ty);
        in_all += u64::from(bytes);
        let message = || {
            format!("{what} of {bytes} bytes: at most {MOST_BYTES} are possible, and {MOST_IN_ALL} for all of a rule's")
        };
        if bytes > MOST_BYTES || in_all > MOST_IN_ALL { Err(message()) } else { Ok(()) }
    };
    // A function that indexes a constant has a copy of it, so constants count like variables.
    for (handle, constant) in module.constants.iter() {
        let at = place(module.constants.get_span(handle)).unwrap_or((1, 1));
        fits("a constant", constant.ty).map_err(|message| Fault::new(at, message))?;
    }
    for (_, function) in module.functions.iter() {
        let name = function.name.as_deref().unwrap_or_default();
        let cost = cost(&function.body, &costs);
        costs.push(cost);
        let Some((_, whole)) = declared.iter().find(|(declared, _)| declared == name) else { continue };
        let fault = |span: naga::Span, message: String| Err(Fault::new(place(span).unwrap_or(*whole), message));
        let nowhere = naga::Span::UNDEFINED;
        if cost > MOST_OPERATIONS {
            let message = format!("`{name}` takes some {cost} operations; at most {MOST_OPERATIONS} are possible");
            return fault(nowhere, message);
        }
        if let Some((what, span)) = unfit(&function.body) {
            return fault(span, format!("{what}, which a rule has no use for"));
        }
        let passed = function.arguments.iter().map(|argument| argument.ty).chain(function.result.iter().map(|r| r.ty));
        if let Some(bytes) = passed.map(size).find(|bytes| *bytes > MOST_BYTES) {
            let message =
                format!("`{name}` takes or gives a value of {bytes} bytes: at most {MOST_BYTES} are possible");
            return fault(nowhere, message);
        }
        for (handle, variable) in function.local_variables.iter() {
            let span = function.local_variables.get_span(handle);
            fits("a variable", variable.ty).or_else(|message| fault(span, message))?;
        }
        for (handle, expression) in function.expressions.iter() {
            let span = function.expressions.get_span(handle);
            match expression {
                Expression::GlobalVariable(variable) => {
                    let variable = module.global_variables[*variable].name.as_deref().unwrap_or_default();
                    if !["settings", "at"].contains(&variable) {
                        let message =
                            format!("`{variable}`: a rule sees an element, `settings` and `at`, and nothing else");
                        return fault(span, message);
                    }
                }
                Expression::ZeroValue(ty) | Expression::Compose { ty, .. } if size(*ty) > MOST_BYTES => {
                    let message = format!("a value of {} bytes: at most {MOST_BYTES} are possible", size(*ty));
                    return fault(span, message);
                }
                _ => {}
            }
        }
    }
    // The module must be valid with the capabilities that every device has.
    let mut core = Validator::new(ValidationFlags::all(), Capabilities::empty());
    core.validate(module).map(drop).map_err(|fault| {
        let at = fault.spans().filter_map(|(span, _)| place(*span)).last().unwrap_or((1, 1));
        Fault::new(at, format!("not every device can do this: {}", innermost(fault.as_inner())))
    })
}

/// The number of operations in a block, each counted as often as it may run. `costs` are those of the functions before
/// the block's own, which are all that it can call.
fn cost(block: &naga::Block, costs: &[u64]) -> u64 {
    let of = |statement: &Statement| match statement {
        Statement::Emit(range) => range.clone().count() as u64,
        Statement::Block(block) => cost(block, costs),
        Statement::If { accept, reject, .. } => {
            cost(accept, costs).saturating_add(cost(reject, costs)).saturating_add(1)
        }
        Statement::Switch { cases, .. } => {
            cases.iter().map(|case| cost(&case.body, costs)).fold(1, u64::saturating_add)
        }
        Statement::Loop { body, continuing, .. } => {
            cost(body, costs).saturating_add(cost(continuing, costs)).saturating_mul(u64::from(MOST_TURNS))
        }
        Statement::Call { function, .. } => costs.get(function.index()).copied().unwrap_or(u64::MAX).saturating_add(1),
        _ => 1,
    };
    block.iter().map(of).fold(0, u64::saturating_add)
}

/// Finds a statement that a function of one element must not contain.
fn unfit(block: &naga::Block) -> Option<(&'static str, naga::Span)> {
    block.span_iter().find_map(|(statement, span)| match statement {
        Statement::Emit(_)
        | Statement::Break
        | Statement::Continue
        | Statement::Return { .. }
        | Statement::Store { .. }
        | Statement::Call { .. } => None,
        Statement::Block(block) => unfit(block),
        Statement::If { accept, reject, .. } => unfit(accept).or_else(|| unfit(reject)),
        Statement::Switch { cases, .. } => cases.iter().find_map(|case| unfit(&case.body)),
        Statement::Loop { body, continuing, .. } => unfit(body).or_else(|| unfit(continuing)),
        Statement::ControlBarrier(_) | Statement::MemoryBarrier(_) => Some(("a barrier", *span)),
        _ => Some(("a texture, an atomic or an operation of a whole workgroup", *span)),
    })
}
