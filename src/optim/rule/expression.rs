//! The expressions in a rule's header: numbers, names and a few functions, in f64.
//!
//! ```text
//! or, and, not                    1 is true and 0 is false; any number other than 0 counts as true
//! == != < <= > >=                 1 or 0
//! + - * / ^                       ^ binds tightest and to the right: -a^2 is -(a^2), a^b^c is a^(b^c)
//! sqrt exp ln abs floor           of one number
//! min max mod                     of two; mod(a, b) has the sign of b
//! if(condition, a, b)             a or b; the one that is not taken may be infinite or NaN
//! product(i, first, last, f)      the product of f at i = first, first + 1, ... last; 1 if last is below first
//! ```
//!
//! `1 - a^b` keeps its digits where `a^b` is near 1: it is computed as `-expm1(b ln a)`.

mod parse;
mod wgsl;

pub use wgsl::Lines;

/// Why a text is not an expression, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The byte in the text of the expression.
    pub at: usize,
    /// What is wrong there.
    pub message: String,
}

/// A parsed expression. Whether its names are defined has not been checked.
#[derive(Debug)]
pub struct Expression {
    root: Node,
    /// Each name once, with the byte where it is first read, or with [`COUNTER`] if it is the counter of a product.
    names: Vec<(String, usize)>,
    /// The names that the factors of products read, each with its byte.
    factors: Vec<(String, usize)>,
}

/// The latest values of products, so that a product that grows with the number of the update continues from its last
/// factor. Use it with one expression only, and always with the same value of every name except `t`.
#[derive(Debug, Default)]
pub struct Products {
    /// The most factors that one evaluation may multiply. A product that needs more is NaN.
    pub most: u64,
    known: Vec<Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    counter: usize,
    first: u64,
    last: u64,
    value: f64,
}

#[derive(Debug)]
enum Node {
    Number(f64),
    /// Index into the expression's names.
    Name(usize),
    Unary(Unary, Box<Node>),
    Binary(Binary, Box<Node>, Box<Node>),
    If(Box<[Node; 3]>),
    Product(Box<Product>),
}

#[derive(Debug)]
struct Product {
    /// The name that counts the factors, as an index into the expression's names.
    counter: usize,
    first: Node,
    last: Node,
    factor: Node,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Unary {
    Negative,
    Not,
    Sqrt,
    Exp,
    Ln,
    Abs,
    Floor,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Binary {
    Or,
    And,
    Equal,
    Unequal,
    Below,
    AtMost,
    Above,
    AtLeast,
    Plus,
    Minus,
    Times,
    Over,
    Power,
    Min,
    Max,
    Mod,
}

/// Functions of one number.
const UNARY: [(&str, Unary); 5] =
    [("sqrt", Unary::Sqrt), ("exp", Unary::Exp), ("ln", Unary::Ln), ("abs", Unary::Abs), ("floor", Unary::Floor)];
/// Functions of two numbers.
const BINARY: [(&str, Binary); 3] = [("min", Binary::Min), ("max", Binary::Max), ("mod", Binary::Mod)];

/// Keywords, which cannot be names.
const WORDS: [&str; 5] = ["or", "and", "not", "if", "product"];

/// Whether a word cannot be a name because it is a keyword or a function.
pub fn is_reserved(name: &str) -> bool {
    WORDS.contains(&name) || UNARY.iter().any(|(n, _)| *n == name) || BINARY.iter().any(|(n, _)| *n == name)
}

impl Expression {
    /// The names that the expression reads, each once, with the byte where it is first read. The counters of products
    /// are not among them.
    pub fn names(&self) -> impl Iterator<Item = (&str, usize)> {
        self.names.iter().filter(|(_, at)| *at != COUNTER).map(|(name, at)| (name.as_str(), *at))
    }

    /// The number of products in the expression.
    pub fn products(&self) -> usize {
        self.names.iter().filter(|(_, at)| *at == COUNTER).count()
    }

    /// The names that the factors of its products read, which must have the same value in every update: a product
    /// continues from that of the update before.
    pub fn factor_names(&self) -> impl Iterator<Item = (&str, usize)> {
        self.factors.iter().map(|(name, at)| (name.as_str(), *at))
    }

    /// The value of the expression if each name has the value that `of` returns for it.
    pub fn value(&self, of: &dyn Fn(&str) -> f64, products: &mut Products) -> f64 {
        let values = self.names.iter().map(|(name, at)| if *at == COUNTER { 0.0 } else { of(name) }).collect();
        self.root.value(&mut Values { values, products })
    }
}

fn truth(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// The values that an expression is computed from.
struct Values<'a> {
    values: Vec<f64>,
    products: &'a mut Products,
}

impl Node {
    fn value(&self, values: &mut Values<'_>) -> f64 {
        match self {
            Self::Number(v) => *v,
            Self::Name(index) => values.values[*index],
            Self::Unary(op, a) => {
                let a = a.value(values);
                match op {
                    Unary::Negative => -a,
                    Unary::Not => truth(a == 0.0),
                    Unary::Sqrt => a.sqrt(),
                    Unary::Exp => a.exp(),
                    Unary::Ln => a.ln(),
                    Unary::Abs => a.abs(),
                    Unary::Floor => a.floor(),
                }
            }
            Self::Binary(Binary::Minus, a, b) => {
                let a = a.value(values);
                match &**b {
                    // -expm1(y ln x) keeps the digits that 1 - x^y loses when x^y is near 1.
                    Self::Binary(Binary::Power, x, y) if a == 1.0 => {
                        let (x, y) = (x.value(values), y.value(values));
                        if x > 0.0 { -(y * x.ln()).exp_m1() } else { 1.0 - x.powf(y) }
                    }
                    b => a - b.value(values),
                }
            }
            Self::Binary(op, a, b) => {
                let (a, b) = (a.value(values), b.value(values));
                match op {
                    Binary::Or => truth(a != 0.0 || b != 0.0),
                    Binary::And => truth(a != 0.0 && b != 0.0),
                    Binary::Equal => truth(a == b),
                    Binary::Unequal => truth(a != b),
                    Binary::Below => truth(a < b),
                    Binary::AtMost => truth(a <= b),
                    Binary::Above => truth(a > b),
                    Binary::AtLeast => truth(a >= b),
                    Binary::Plus => a + b,
                    Binary::Minus => a - b,
                    Binary::Times => a * b,
                    Binary::Over => a / b,
                    Binary::Power => a.powf(b),
                    Binary::Min => a.min(b),
                    Binary::Max => a.max(b),
                    Binary::Mod => a - b * (a / b).floor(),
                }
            }
            Self::If(parts) => {
                let [condition, a, b] = &**parts;
                if condition.value(values) != 0.0 { a.value(values) } else { b.value(values) }
            }
            Self::Product(product) => product.value(values),
        }
    }
}

impl Product {
    /// The factors are always multiplied in order from the first one on, so the bits do not depend on which products
    /// were computed before. Once the product is 0, infinite or NaN, it stays so.
    fn value(&self, values: &mut Values<'_>) -> f64 {
        let (first, last) = (self.first.value(values), self.last.value(values));
        let whole = |v: f64| (0.0..9e15).contains(&v).then_some(v as u64);
        let (Some(first), Some(last)) = (whole(first.ceil()), whole(last.floor())) else { return f64::NAN };
        if last < first {
            return 1.0;
        }
        let counter = self.counter;
        let same = |k: &&Known| k.counter == counter && k.first == first && k.last <= last;
        let before = values.products.known.iter().filter(same).max_by_key(|k| k.last);
        let (mut at, mut value) = before.map_or((first, 1.0), |k| (k.last + 1, k.value));
        if last + 1 - at > values.products.most {
            return f64::NAN;
        }
        let ended = |value: f64| value == 0.0 || !value.is_finite();
        while at <= last && !ended(value) {
            values.values[counter] = at as f64;
            value *= self.factor.value(values);
            // Every update asks for the products of eight successive counts.
            if last - at < 8 {
                values.products.keep(Known { counter, first, last: at, value });
            }
            at += 1;
        }
        if ended(value) {
            values.products.keep(Known { counter, first, last, value });
        }
        value
    }
}

impl Products {
    fn keep(&mut self, new: Known) {
        const MOST: u64 = 16;
        let keeps = |k: &Known| k.first == new.first && k.last != new.last && k.last + MOST > new.last;
        self.known.retain(|k| k.counter != new.counter || keeps(k));
        self.known.push(new);
    }
}

/// The value in place of a byte that marks a name as the counter of a product, which has no value from outside.
const COUNTER: usize = usize::MAX;
