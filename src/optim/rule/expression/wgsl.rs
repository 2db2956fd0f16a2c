//! Writes expressions as WGSL, in f32, for the numbers that the device keeps.

use std::fmt::Write as _;

use super::{Binary, Expression, Node, UNARY, Unary};

/// Statements of WGSL, one `let` for each operation. The text therefore grows linearly with the expression, and it has
/// no nested brackets, which naga would parse by recursion. No operation has constant operands only: naga would
/// evaluate it, and refuse it if the value is not finite.
#[derive(Debug, Default)]
pub struct Lines {
    /// The statements.
    pub text: String,
    count: usize,
}

impl Lines {
    /// Appends a statement for a value, and returns the name that it defines.
    fn state(&mut self, value: &str) -> String {
        let name = format!("x{}", self.count);
        self.count += 1;
        writeln!(self.text, "    let {name} = {value};").expect("writing to a string");
        name
    }
}

impl Expression {
    /// Appends to `lines` the statements that compute the expression in f32, with each name replaced by what `of`
    /// returns for it. Returns the name of the value. The functions that the statements call are in
    /// `shaders/shared/expression.wgsl`.
    ///
    /// # Errors
    /// Why the device cannot compute it.
    pub fn wgsl(&self, of: &dyn Fn(&str) -> String, lines: &mut Lines) -> Result<String, &'static str> {
        Writer { names: &self.names, of, lines }.number(&self.root)
    }
}

struct Writer<'a> {
    names: &'a [(String, usize)],
    of: &'a dyn Fn(&str) -> String,
    lines: &'a mut Lines,
}

impl Writer<'_> {
    fn number(&mut self, node: &Node) -> Result<String, &'static str> {
        let value = match node {
            Node::Number(v) if !(*v as f32).is_finite() => {
                return Err("the device computes in f32, which does not hold this large a number");
            }
            Node::Number(v) => format!("{:e}f", *v as f32),
            Node::Name(index) => (self.of)(&self.names[*index].0),
            Node::Unary(Unary::Negative, a) => format!("-{}", self.number(a)?),
            Node::Unary(op, a) if *op != Unary::Not => {
                let (name, _) = UNARY.iter().find(|(_, known)| known == op).expect("the others have names");
                format!("{}({})", if *name == "ln" { "log" } else { name }, self.number(a)?)
            }
            Node::Binary(op, a, b) if !is_condition(*op) => {
                let (a, b) = (self.number(a)?, self.number(b)?);
                match op {
                    Binary::Plus => format!("{a} + {b}"),
                    Binary::Minus => format!("{a} - {b}"),
                    Binary::Times => format!("{a} * {b}"),
                    Binary::Over => format!("{a} / {b}"),
                    Binary::Power => format!("power({a}, {b})"),
                    Binary::Min => format!("min({a}, {b})"),
                    Binary::Max => format!("max({a}, {b})"),
                    _ => format!("modulo({a}, {b})"),
                }
            }
            Node::If(parts) => {
                let [condition, a, b] = &**parts;
                let (condition, a, b) = (self.condition(condition)?, self.number(a)?, self.number(b)?);
                format!("select({b}, {a}, {condition})")
            }
            Node::Product(_) => return Err("the device computes no products: make it a scalar"),
            _ => format!("select(0.0, 1.0, {})", self.condition(node)?),
        };
        Ok(self.lines.state(&value))
    }

    /// Appends the statements of a condition, whose value is a `bool`.
    fn condition(&mut self, node: &Node) -> Result<String, &'static str> {
        let value = match node {
            Node::Unary(Unary::Not, a) => format!("!{}", self.condition(a)?),
            Node::Binary(op @ (Binary::Or | Binary::And), a, b) => {
                let (a, b) = (self.condition(a)?, self.condition(b)?);
                format!("{a} {} {b}", if *op == Binary::Or { "||" } else { "&&" })
            }
            Node::Binary(op, a, b) if is_condition(*op) => {
                let (a, b) = (self.number(a)?, self.number(b)?);
                let sign = match op {
                    Binary::Equal => "==",
                    Binary::Unequal => "!=",
                    Binary::Below => "<",
                    Binary::AtMost => "<=",
                    Binary::Above => ">",
                    _ => ">=",
                };
                format!("{a} {sign} {b}")
            }
            _ => format!("{} != 0.0", self.number(node)?),
        };
        Ok(self.lines.state(&value))
    }
}

/// Whether the operator gives a condition: 1 or 0.
fn is_condition(op: Binary) -> bool {
    use Binary::{Above, And, AtLeast, AtMost, Below, Equal, Or, Unequal};
    matches!(op, Or | And | Equal | Unequal | Below | AtMost | Above | AtLeast)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text grows linearly with the expression, and stays flat however deeply the expression is nested.
    #[test]
    fn the_text_grows_with_the_expression() {
        let nested = |call: &str| format!("{}q{}", format!("{call}(").repeat(12), ", 3)".repeat(12));
        for text in [nested("mod"), nested("max"), vec!["q"; 140].join(" + "), vec!["q"; 140].join(" and ")] {
            let mut lines = Lines::default();
            Expression::parse(&text).unwrap().wgsl(&|name| format!("at.{name}"), &mut lines).unwrap();
            assert!(lines.text.len() < 60 * text.len(), "{text}: {}", lines.text);
            let deepest = lines.text.lines().map(|line| line.matches('(').count()).max();
            assert!(deepest <= Some(1), "{text}: {}", lines.text);
        }
    }
}
