//! Embeddings of tokens and of places.

use super::{At, Case, Data, Expected, Port, plus, random, scaler, second, unscaled};
use crate::{
    check::reference::{Sum, embedding as reference},
    ops::{add_first_row, add_positions, embedding},
    program::{
        Dtype, Tape,
        params::{Init, Shape},
    },
};

/// The embedding of `n` samples of `places` tokens.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingCase {
    /// Samples.
    pub n: u32,
    /// Tokens of a sample.
    pub places: u32,
    /// The number of different tokens.
    pub vocabulary: u32,
    /// Channels.
    pub c: u32,
}

impl EmbeddingCase {
    fn rows(&self) -> usize {
        (self.n * self.places) as usize
    }

    fn elements(&self) -> usize {
        (self.vocabulary * self.c) as usize
    }
}

impl Case for EmbeddingCase {
    fn name(&self) -> String {
        let Self { n, places, vocabulary, c } = self;
        format!("embedding of {n}x{places} tokens of {vocabulary} as {c}")
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let tokens = t.tensor_of(Dtype::U32, [self.n, self.places, 1, 1]);
        let (y, _) = embedding(t, tokens, self.vocabulary, self.c, Init::Normal(1.0));
        let d_y = t.write_gradient(y).0;
        t.backward();
        vec![
            Port::integers("tokens", At::Rows(tokens)),
            Port::new("weight", At::Param("weight")),
            Port::new("grad_out", At::Rows(d_y)),
            Port::new("grad_weight_before", At::Gradient("weight")),
            Port::new("out", At::Rows(y)),
            Port::new("grad_weight", At::Gradient("weight")),
        ]
    }

    /// Some tokens occur often, and some never.
    fn data(&self) -> Data {
        let token = |i: usize| (i * i * 7 % (self.vocabulary as usize)) as f64;
        Data::from([
            ("tokens", (0..self.rows()).map(token).collect()),
            ("weight", random(self.elements(), 1)),
            ("grad_out", random(self.rows() * self.c as usize, 2)),
            ("grad_weight_before", random(self.elements(), 3)),
            ("scaler", scaler()),
        ])
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let tokens: Vec<u32> = data["tokens"].iter().map(|&token| token as u32).collect();
        let (vocabulary, c) = (self.vocabulary as usize, self.c as usize);
        let d_weight = unscaled(reference::embedding_backward(&tokens, &data["grad_out"], vocabulary, c));
        vec![
            Expected::exact("out", reference::embedding(&tokens, &data["weight"], c)),
            Expected::added("grad_weight", &data["grad_weight_before"], &d_weight),
        ]
    }
}

/// The sum of a tensor `[samples, places, 1, channels]` and a row for each place.
#[derive(Clone, Copy, Debug)]
pub struct PositionsCase {
    /// Samples, places and channels.
    pub input: [u32; 3],
    /// Rows of the weight beyond the places; a weight without any has PyTorch's shape `[1, places, channels]`.
    pub more: u32,
    /// Whether a ReLU has the same input, so that its gradients accumulate.
    pub shared: bool,
}

impl Case for PositionsCase {
    fn name(&self) -> String {
        let [n, places, c] = self.input;
        let most = places + self.more;
        format!("{n}x{places}x{c} and {most} positions{}", if self.shared { ", shared" } else { "" })
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let [n, places, c] = self.input;
        let shape = [n, places, 1, c];
        let weight = match self.more {
            0 => Shape::Rows { rows: places, c },
            more => Shape::Matrix { outputs: places + more, inputs: c },
        };
        let mut ports =
            second::unary_rows(t, shape, self.shared, |t, x| add_positions(t, x, "weight", weight, Init::Normal(1.0)));
        ports.extend(second::weight());
        ports
    }

    fn data(&self) -> Data {
        let [n, places, c] = self.input.map(|d| d as usize);
        let elements = (places + self.more as usize) * c;
        let mut data = Data::from([
            ("x", random(n * places * c, 1)),
            ("weight", random(elements, 2)),
            ("grad_out", random(n * places * c, 3)),
            ("grad_weight_before", random(elements, 4)),
            ("scaler", scaler()),
        ]);
        if self.shared {
            data.insert(second::GRADIENT, random(n * places * c, 5));
        }
        data
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let [_, places, c] = self.input.map(|d| d as usize);
        let (weight, d_y) = (&data["weight"][..places * c], &data["grad_out"]);
        let mut d_weight = unscaled(reference::add_positions_backward(d_y, weight.len()));
        for list in [&mut d_weight.value, &mut d_weight.magnitude] {
            list.resize(data["weight"].len(), 0.0); // places that no sample has
        }
        let passed = Sum { value: d_y.clone(), magnitude: d_y.iter().map(|d| d.abs()).collect(), terms: 1 };
        vec![
            Expected::rounded("out", reference::add_positions(&data["x"], weight), 1.0),
            Expected::added("grad_weight", &data["grad_weight_before"], &d_weight),
            match second::gradient(data, "x") {
                Some(second) => Expected::sum("grad_x", &plus(&second, &passed)),
                None => Expected::exact("grad_x", passed.value),
            },
        ]
    }
}

/// The sum of a tensor `[samples, places, 1, channels]` and the first of two rows.
#[derive(Clone, Copy, Debug)]
pub struct FirstRowCase {
    /// Samples, places and channels.
    pub input: [u32; 3],
    /// Whether a ReLU has the same input, so that its gradients accumulate.
    pub shared: bool,
}

impl Case for FirstRowCase {
    fn name(&self) -> String {
        let [n, places, c] = self.input;
        format!("{n}x{places}x{c} and the first of two rows{}", if self.shared { ", shared" } else { "" })
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let [n, places, c] = self.input;
        let op = |t: &mut Tape, x| add_first_row(t, x, Init::Normal(1.0));
        let mut ports = second::unary_rows(t, [n, places, 1, c], self.shared, op);
        ports.extend(second::weight());
        ports
    }

    fn data(&self) -> Data {
        let [n, places, c] = self.input.map(|d| d as usize);
        let mut data = second::data(random(n * places * c, 1), n * places * c, self.shared);
        data.extend([("weight", random(2 * c, 4)), ("grad_weight_before", random(2 * c, 5)), ("scaler", scaler())]);
        data
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let (c, d_y) = (self.input[2] as usize, &data["grad_out"]);
        let row = &data["weight"][..c];
        let mut d_weight = unscaled(reference::add_positions_backward(d_y, c));
        for list in [&mut d_weight.value, &mut d_weight.magnitude] {
            list.resize(2 * c, 0.0); // the second row
        }
        vec![
            Expected::rounded("out", reference::add_positions(&data["x"], row), 1.0),
            Expected::added("grad_weight", &data["grad_weight_before"], &d_weight),
            second::passed(data, d_y.clone()),
        ]
    }
}
