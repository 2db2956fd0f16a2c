//! The class token, and the first place.

use super::{At, Case, Data, Expected, Port, random, scaler, second, unscaled};
use crate::{
    check::reference::Sum,
    ops::{class_token, first_place},
    program::{Tape, params::Init},
};

/// A token before the places of a map `[samples, h, w, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct ClassTokenCase {
    /// Input shape.
    pub input: [u32; 4],
    /// Whether a ReLU has the same input, so that its gradients accumulate.
    pub shared: bool,
}

/// The first place of `[samples, h, w, channels]`.
#[derive(Clone, Copy, Debug)]
pub struct FirstPlaceCase {
    /// Input shape.
    pub input: [u32; 4],
    /// Whether a ReLU has the same input, so that its gradients accumulate.
    pub shared: bool,
}

fn name(what: &str, [n, h, w, c]: [u32; 4], shared: bool) -> String {
    format!("{what} {n}x{h}x{w}x{c}{}", if shared { ", shared" } else { "" })
}

fn data(input: [u32; 4], places: u32, shared: bool) -> Data {
    let [n, h, w, c] = input;
    second::data(random((n * h * w * c) as usize, 1), (n * places * c) as usize, shared)
}

impl Case for ClassTokenCase {
    fn name(&self) -> String {
        name("a token before", self.input, self.shared)
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        let op = |t: &mut Tape, x| class_token(t, x, "token", Init::Normal(1.0));
        let mut ports = second::unary_rows(t, self.input, self.shared, op);
        ports.push(Port::new("token", At::Param("token")));
        ports.push(Port::new("grad_token_before", At::Gradient("token")));
        ports.push(Port::new("grad_token", At::Gradient("token")));
        ports
    }

    fn data(&self) -> Data {
        let [_, h, w, c] = self.input;
        let mut data = data(self.input, 1 + h * w, self.shared);
        data.extend([("token", random(c as usize, 4)), ("grad_token_before", random(c as usize, 5))]);
        data.insert("scaler", scaler());
        data
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let [_, h, w, c] = self.input.map(|d| d as usize);
        let (token, places) = (&data["token"], h * w);
        let out = data["x"].chunks(places * c).flat_map(|x| token.iter().chain(x)).copied().collect();
        let (mut d_x, mut d_token) = (vec![], Sum { value: vec![0.0; c], magnitude: vec![0.0; c], terms: 0 });
        for d_y in data["grad_out"].chunks((1 + places) * c) {
            d_x.extend(&d_y[c..]);
            for (i, d) in d_y[..c].iter().enumerate() {
                d_token.value[i] += d;
                d_token.magnitude[i] += d.abs();
            }
            d_token.terms += 1;
        }
        vec![
            Expected::exact("out", out),
            second::passed(data, d_x),
            Expected::added("grad_token", &data["grad_token_before"], &unscaled(d_token)),
        ]
    }
}

impl Case for FirstPlaceCase {
    fn name(&self) -> String {
        name("the first place of", self.input, self.shared)
    }

    fn record(&self, t: &mut Tape) -> Vec<Port> {
        second::unary_rows(t, self.input, self.shared, first_place)
    }

    fn data(&self) -> Data {
        data(self.input, 1, self.shared)
    }

    /// The gradient from the input's other consumer is there first.
    fn intermediate(&self, data: &Data) -> Data {
        second::left(data, "x", "grad_x")
    }

    fn expected(&self, data: &Data) -> Vec<Expected> {
        let [_, h, w, c] = self.input.map(|d| d as usize);
        let out = data["x"].chunks(h * w * c).flat_map(|x| &x[..c]).copied().collect();
        let zeros = vec![0.0; (h * w - 1) * c];
        let d_x = data["grad_out"].chunks(c).flat_map(|d_y| d_y.iter().chain(&zeros)).copied().collect();
        vec![Expected::exact("out", out), second::passed(data, d_x)]
    }
}
