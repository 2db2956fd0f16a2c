//! Parses expressions.

use std::fmt;

use super::{BINARY, Binary, COUNTER, Expression, Fault, Node, Product, UNARY, Unary, is_reserved};
use crate::error::suggest;

/// The most bytes of an expression. They bound the depth of its tree, and with it the stack that evaluation needs.
const LONGEST: usize = 1000;

/// How deeply parentheses, function calls and the operators `not`, `^` and the sign `-` may be nested.
const DEEPEST: usize = 40;

impl Expression {
    /// Parses an expression.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.len() > LONGEST {
            let message = format!("an expression has at most {LONGEST} bytes, this one has {}", text.len());
            return Err(Fault { at: 0, message });
        }
        let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0, end: text.len(), ..Parser::default() };
        let root = parser.or()?;
        match parser.tokens.get(parser.next) {
            None => Ok(Self { root, names: parser.names, factors: parser.factors }),
            Some((at, token)) => Err(Fault { at: *at, message: format!("expected an operator, found `{token}`") }),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Number(f64),
    Name(String),
    Sign(&'static str),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(v) => v.fmt(f),
            Self::Name(name) => f.write_str(name),
            Self::Sign(sign) => f.write_str(sign),
        }
    }
}

/// Longer signs come first, so that `<=` is not read as `<`.
const SIGNS: [&str; 14] = ["==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "^", "(", ")", ","];

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Fault> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let run = |keep: fn(char) -> bool| rest.find(|c| !keep(c)).unwrap_or(rest.len());
        let (length, token) = if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        } else if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            (sign.len(), Token::Sign(sign))
        } else if c.is_ascii_alphabetic() || c == '_' {
            let length = run(|c| c.is_ascii_alphanumeric() || c == '_');
            (length, Token::Name(rest[..length].to_owned()))
        } else if c.is_ascii_digit() || c == '.' {
            let length = number_length(rest);
            let number = rest[..length].parse().ok().filter(|v: &f64| v.is_finite());
            let wrong = || Fault { at, message: format!("`{}` is no number", &rest[..length]) };
            (length, Token::Number(number.ok_or_else(wrong)?))
        } else {
            return Err(Fault { at, message: format!("`{c}` has no meaning in an expression") });
        };
        tokens.push((at, token));
        at += length;
    }
    Ok(tokens)
}

/// The length in bytes of the number that a text begins with: digits, a point, an exponent with its sign.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| from + bytes[from..].iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    let mut end = digits(0);
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        // If no digits follow, the `e` begins a name, which is an error after a number.
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    end.max(1)
}

#[derive(Default)]
struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
    end: usize,
    names: Vec<(String, usize)>,
    factors: Vec<(String, usize)>,
    /// The counter of the product whose factor is being parsed: its name, and its index into the names.
    counter: Option<(String, usize)>,
}

type Parsed = Result<Node, Fault>;

impl Parser {
    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    fn fault<T>(&self, expected: &str) -> Result<T, Fault> {
        let found = self.tokens.get(self.next).map_or("the end".to_owned(), |(_, token)| format!("`{token}`"));
        Err(Fault { at: self.at(), message: format!("expected {expected}, found {found}") })
    }

    fn sign(&mut self, sign: &str) -> bool {
        let there = matches!(self.tokens.get(self.next), Some((_, Token::Sign(s))) if *s == sign);
        self.next += usize::from(there);
        there
    }

    fn word(&mut self, word: &str) -> bool {
        let there = matches!(self.tokens.get(self.next), Some((_, Token::Name(n))) if n == word);
        self.next += usize::from(there);
        there
    }

    fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        if self.sign(sign) { Ok(()) } else { self.fault(&format!("`{sign}`")) }
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Parsed) -> Parsed {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Fault { at: self.at(), message: format!("nested more than {DEEPEST} deep") });
        }
        let node = inner(self);
        self.depth -= 1;
        node
    }

    fn or(&mut self) -> Parsed {
        let mut node = self.and()?;
        while self.word("or") {
            node = Node::Binary(Binary::Or, Box::new(node), Box::new(self.and()?));
        }
        Ok(node)
    }

    fn and(&mut self) -> Parsed {
        let mut node = self.not()?;
        while self.word("and") {
            node = Node::Binary(Binary::And, Box::new(node), Box::new(self.not()?));
        }
        Ok(node)
    }

    fn not(&mut self) -> Parsed {
        if self.word("not") {
            return Ok(Node::Unary(Unary::Not, Box::new(self.nested(Self::not)?)));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Parsed {
        const ALL: [(&str, Binary); 6] = [
            ("==", Binary::Equal),
            ("!=", Binary::Unequal),
            ("<=", Binary::AtMost),
            (">=", Binary::AtLeast),
            ("<", Binary::Below),
            (">", Binary::Above),
        ];
        let node = self.sum()?;
        match ALL.into_iter().find(|(sign, _)| self.sign(sign)) {
            Some((_, op)) => Ok(Node::Binary(op, Box::new(node), Box::new(self.sum()?))),
            None => Ok(node),
        }
    }

    fn sum(&mut self) -> Parsed {
        let mut node = self.term()?;
        loop {
            let op = if self.sign("+") {
                Binary::Plus
            } else if self.sign("-") {
                Binary::Minus
            } else {
                return Ok(node);
            };
            node = Node::Binary(op, Box::new(node), Box::new(self.term()?));
        }
    }

    fn term(&mut self) -> Parsed {
        let mut node = self.sign_of()?;
        loop {
            let op = if self.sign("*") {
                Binary::Times
            } else if self.sign("/") {
                Binary::Over
            } else {
                return Ok(node);
            };
            node = Node::Binary(op, Box::new(node), Box::new(self.sign_of()?));
        }
    }

    fn sign_of(&mut self) -> Parsed {
        if self.sign("-") {
            return Ok(Node::Unary(Unary::Negative, Box::new(self.nested(Self::sign_of)?)));
        }
        self.power()
    }

    fn power(&mut self) -> Parsed {
        let base = self.atom()?;
        if self.sign("^") {
            let exponent = self.nested(Self::sign_of)?;
            return Ok(Node::Binary(Binary::Power, Box::new(base), Box::new(exponent)));
        }
        Ok(base)
    }

    fn atom(&mut self) -> Parsed {
        let at = self.at();
        match self.tokens.get(self.next).cloned() {
            Some((_, Token::Number(value))) => {
                self.next += 1;
                Ok(Node::Number(value))
            }
            Some((_, Token::Sign("("))) => {
                self.next += 1;
                let node = self.nested(Self::or)?;
                self.expect(")")?;
                Ok(node)
            }
            Some((_, Token::Name(name))) => {
                self.next += 1;
                if self.sign("(") {
                    return self.call(&name, at);
                }
                if is_reserved(&name) {
                    return Err(Fault {
                        at,
                        message: format!("`{name}` is a function, or an operator: it has no value"),
                    });
                }
                match &self.counter {
                    Some((counter, index)) if *counter == name => return Ok(Node::Name(*index)),
                    Some(_) => self.factors.push((name.clone(), at)),
                    None => {}
                }
                let known = self.names.iter().position(|(known, at)| *known == name && *at != COUNTER);
                Ok(Node::Name(known.unwrap_or_else(|| {
                    self.names.push((name, at));
                    self.names.len() - 1
                })))
            }
            _ => self.fault("a number, a name or `(`"),
        }
    }

    /// Parses the arguments of a function, after its opening parenthesis.
    fn call(&mut self, name: &str, at: usize) -> Parsed {
        if let Some((_, op)) = UNARY.iter().find(|(known, _)| *known == name) {
            let a = self.nested(Self::or)?;
            self.expect(")")?;
            return Ok(Node::Unary(*op, Box::new(a)));
        }
        if let Some((_, op)) = BINARY.iter().find(|(known, _)| *known == name) {
            let a = self.nested(Self::or)?;
            self.expect(",")?;
            let b = self.nested(Self::or)?;
            self.expect(")")?;
            return Ok(Node::Binary(*op, Box::new(a), Box::new(b)));
        }
        match name {
            "if" => {
                let condition = self.nested(Self::or)?;
                self.expect(",")?;
                let a = self.nested(Self::or)?;
                self.expect(",")?;
                let b = self.nested(Self::or)?;
                self.expect(")")?;
                Ok(Node::If(Box::new([condition, a, b])))
            }
            "product" => self.product(at),
            _ => {
                let mut known: Vec<_> = UNARY.iter().map(|(n, _)| *n).chain(BINARY.iter().map(|(n, _)| *n)).collect();
                known.extend(["if", "product"]);
                let hint = suggest::hint(name, &known);
                Err(Fault { at, message: format!("no function is called `{name}`; {hint}") })
            }
        }
    }

    fn product(&mut self, at: usize) -> Parsed {
        if self.counter.is_some() {
            return Err(Fault { at, message: "a product within a product".into() });
        }
        let name = match self.tokens.get(self.next) {
            Some((_, Token::Name(name))) if !is_reserved(name) => name.clone(),
            _ => return self.fault("the name that counts"),
        };
        self.next += 1;
        self.expect(",")?;
        let first = self.nested(Self::or)?;
        self.expect(",")?;
        let last = self.nested(Self::or)?;
        self.expect(",")?;
        let counter = self.names.len();
        self.names.push((name.clone(), COUNTER));
        self.counter = Some((name, counter));
        let factor = self.nested(Self::or)?;
        self.counter = None;
        self.expect(")")?;
        Ok(Node::Product(Box::new(Product { counter, first, last, factor })))
    }
}
