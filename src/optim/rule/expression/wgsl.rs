//! Expressions as WGSL, in f32: for the numbers that the device keeps.

use std::fmt::Write as _;

use super::{Binary, Expression, Node, UNARY, Unary};

impl Expression {
    /// The expression in WGSL's f32, its names replaced by what `of` gives; `None` where it has a product, which kernels do
    /// not compute.
    pub fn wgsl(&self, of: &dyn Fn(&str) -> String) -> Option<String> {
        let mut text = String::new();
        self.root.wgsl(&self.names, of, &mut text).then_some(text)
    }
}

impl Node {
    fn wgsl(&self, names: &[(String, usize)], of: &dyn Fn(&str) -> String, text: &mut String) -> bool {
        let mut call = |name: &str, parts: &[&Node]| {
            text.push_str(name);
            let mut between = '(';
            let all = parts.iter().all(|part| {
                text.push(std::mem::replace(&mut between, ','));
                part.wgsl(names, of, text)
            });
            text.push(')');
            all
        };
        match self {
            Self::Number(v) => write!(text, "{:e}f", *v as f32).is_ok(),
            Self::Name(index) => {
                text.push_str(&of(&names[*index].0));
                true
            }
            Self::Unary(Unary::Negative, a) => call("-", &[a]),
            Self::Unary(Unary::Not, _) | Self::Binary(Binary::Or | Binary::And, ..) => self.choice(names, of, text),
            Self::Unary(op, a) => {
                let (name, _) = UNARY.iter().find(|(_, known)| known == op).expect("the others have names");
                call(if *name == "ln" { "log" } else { name }, &[a])
            }
            Self::Binary(Binary::Power, a, b) => call("pow", &[a, b]),
            Self::Binary(Binary::Min, a, b) => call("min", &[a, b]),
            Self::Binary(Binary::Max, a, b) => call("max", &[a, b]),
            Self::Binary(op, a, b) => {
                let operator = match op {
                    Binary::Plus => '+',
                    Binary::Minus => '-',
                    Binary::Times => '*',
                    Binary::Over => '/',
                    Binary::Mod => return mod_wgsl(a, b, names, of, text),
                    _ => return self.choice(names, of, text),
                };
                text.push('(');
                let first = a.wgsl(names, of, text);
                write!(text, " {operator} ").expect("writing to a string");
                let second = b.wgsl(names, of, text);
                text.push(')');
                first && second
            }
            Self::If(parts) => {
                let [condition, a, b] = &**parts;
                text.push_str("select(");
                let all = b.wgsl(names, of, text)
                    && {
                        text.push_str(", ");
                        a.wgsl(names, of, text)
                    }
                    && {
                        text.push_str(", ");
                        condition.condition(names, of, text)
                    };
                text.push(')');
                all
            }
            Self::Product(_) => false,
        }
    }

    /// A condition as the number 1 or 0.
    fn choice(&self, names: &[(String, usize)], of: &dyn Fn(&str) -> String, text: &mut String) -> bool {
        text.push_str("select(0.0, 1.0, ");
        let all = self.condition(names, of, text);
        text.push(')');
        all
    }

    /// A condition as WGSL's bool.
    fn condition(&self, names: &[(String, usize)], of: &dyn Fn(&str) -> String, text: &mut String) -> bool {
        type Write = fn(&Node, &[(String, usize)], &dyn Fn(&str) -> String, &mut String) -> bool;
        let (a, operator, b, write): (_, _, _, Write) = match self {
            Self::Unary(Unary::Not, a) => {
                text.push_str("!(");
                let all = a.condition(names, of, text);
                text.push(')');
                return all;
            }
            Self::Binary(Binary::Or, a, b) => (a, "||", b, Node::condition),
            Self::Binary(Binary::And, a, b) => (a, "&&", b, Node::condition),
            Self::Binary(Binary::Equal, a, b) => (a, "==", b, Node::wgsl),
            Self::Binary(Binary::Unequal, a, b) => (a, "!=", b, Node::wgsl),
            Self::Binary(Binary::Below, a, b) => (a, "<", b, Node::wgsl),
            Self::Binary(Binary::AtMost, a, b) => (a, "<=", b, Node::wgsl),
            Self::Binary(Binary::Above, a, b) => (a, ">", b, Node::wgsl),
            Self::Binary(Binary::AtLeast, a, b) => (a, ">=", b, Node::wgsl),
            _ => {
                text.push('(');
                let all = self.wgsl(names, of, text);
                text.push_str(" != 0.0)");
                return all;
            }
        };
        text.push('(');
        let first = write(a, names, of, text);
        write!(text, " {operator} ").expect("writing to a string");
        let second = write(b, names, of, text);
        text.push(')');
        first && second
    }
}

fn mod_wgsl(a: &Node, b: &Node, names: &[(String, usize)], of: &dyn Fn(&str) -> String, text: &mut String) -> bool {
    let (mut x, mut y) = (String::new(), String::new());
    let both = a.wgsl(names, of, &mut x) && b.wgsl(names, of, &mut y);
    write!(text, "({x} - {y} * floor({x} / {y}))").expect("writing to a string");
    both
}
