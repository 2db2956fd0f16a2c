//! What a transformer does to the places of a sample, `[n, places, c]`, by operators that every reader of ONNX has.

use super::{Builder, Form, Value, int, ints};
use crate::{
    ops::{rope_table, sinusoids_table},
    program::{Slot, params::padded},
};

impl Builder<'_> {
    /// The value as `[n, places, c]`.
    pub(super) fn places(&mut self, place: &str, x: Value) -> Value {
        match x.form {
            Form::Places => x,
            Form::Rows => self.reshape(place, &x.name, &[0, 1, -1], Form::Places),
            Form::Map => {
                let line = self.reshape(place, &x.name, &[0, 0, -1], Form::Places);
                self.transpose(place, &line.name, &[0, 2, 1])
            }
        }
    }

    pub(super) fn transpose(&mut self, place: &str, x: &str, order: &[i64]) -> Value {
        self.node(place, "Transpose", &[x], [ints("perm", order)], Form::Places)
    }

    /// The first `count` rows of the parameter, if it has more, and the sum with them.
    pub(super) fn positions(&mut self, place: &str, x: Value, weight: Slot, count: u32) -> Value {
        let x = self.places(place, x);
        let (mut weight, dims) = self.parameter(weight);
        let axis = dims.len() as i64 - 2;
        if dims[axis as usize] > i64::from(count) {
            let [first, last, axis] = [("first", 0), ("last", count.into()), ("axis", axis)]
                .map(|(name, value)| self.integers(&format!("{place}.{name}"), &[value]));
            weight = self.node(place, "Slice", &[&weight, &first, &last, &axis], [], Form::Places).name;
        }
        self.node(place, "Add", &[&x.name, &weight], [], Form::Places)
    }

    /// The sum with the first row of a matrix.
    pub(super) fn first_row(&mut self, place: &str, x: &Value, weight: Slot) -> Value {
        let ((weight, _), first) = (self.parameter(weight), self.constant_index(0));
        let row = self.node(place, "Gather", &[&weight, &first], [int("axis", 0)], Form::Rows);
        self.node(place, "Add", &[&x.name, &row.name], [], x.form)
    }

    pub(super) fn class_token(&mut self, place: &str, x: Value, token: Slot) -> Value {
        let x = self.places(place, x);
        let (token, _) = self.parameter(token);
        // One for each sample, whose number the graph does not know.
        let samples = self.node(place, "Shape", &[&x.name], [int("start", 0), int("end", 1)], Form::Rows);
        let one = self.integers("class.shape", &[1, 1]);
        let shape = self.node(place, "Concat", &[&samples.name, &one], [int("axis", 0)], Form::Rows);
        let token = self.node(place, "Expand", &[&token, &shape.name], [], Form::Places);
        self.node(place, "Concat", &[&token.name, &x.name], [int("axis", 1)], Form::Places)
    }

    pub(super) fn first_place(&mut self, place: &str, x: Value) -> Value {
        let x = self.places(place, x);
        let first = self.constant_index(0);
        self.node(place, "Gather", &[&x.name, &first], [int("axis", 1)], Form::Rows)
    }

    /// A whole number without dimensions, by which `Gather` takes a part and drops the axis.
    fn constant_index(&mut self, index: i64) -> String {
        self.constant(&format!("index.{index}"), &[], super::DataType::Int64, bytemuck::bytes_of(&index))
    }

    /// The product at each place, for which `Gemm` has too few dimensions.
    pub(super) fn linear_of_places(&mut self, place: &str, x: &Value, weight: Slot, bias: Option<Slot>) -> Value {
        let (weight, _) = self.parameter(weight);
        let columns = self.transpose(place, &weight, &[1, 0]);
        let y = self.node(place, "MatMul", &[&x.name, &columns.name], [], Form::Places);
        match bias {
            None => y,
            Some(bias) => {
                let (bias, _) = self.parameter(bias);
                self.node(place, "Add", &[&y.name, &bias], [], Form::Places)
            }
        }
    }

    /// `1 / sqrt(mean(x^2) + eps)` over the last axis, which stays with length 1.
    pub(super) fn inverse_root(&mut self, place: &str, x: &Value, eps: f32) -> Value {
        let eps = self.floats(&format!("eps.{eps:e}"), &[], &[eps]);
        let mut step = |kind: &str, inputs: &[&str]| self.node(place, kind, inputs, [], x.form).name;
        let squares = step("Mul", &[&x.name, &x.name]);
        let options = [ints("axes", &[-1]), int("keepdims", 1)];
        let mean = self.node(place, "ReduceMean", &[&squares], options, x.form).name;
        let mut step = |kind: &str, inputs: &[&str]| self.node(place, kind, inputs, [], x.form).name;
        let sum = step("Add", &[&mean, &eps]);
        let root = step("Sqrt", &[&sum]);
        Value { name: step("Reciprocal", &[&root]), form: x.form }
    }

    /// Queries, keys and values as `[n, places, 3, heads, d]`.
    fn parted(&mut self, place: &str, x: &Value, heads: u32) -> Value {
        self.reshape(place, &x.name, &[0, 0, 3, heads.into(), -1], Form::Places)
    }

    pub(super) fn qk_norm(&mut self, place: &str, x: &Value, heads: u32, eps: f32) -> Value {
        let x = self.parted(place, x, heads);
        let inverse = self.inverse_root(place, &x, eps);
        // The factor of values is 1.
        let normalized = self.floats("qk.normalized", &[3, 1, 1], &[1.0, 1.0, 0.0]);
        let passed = self.floats("qk.passed", &[3, 1, 1], &[0.0, 0.0, 1.0]);
        let mut step = |kind: &str, inputs: &[&str]| self.node(place, kind, inputs, [], Form::Places).name;
        let factor = step("Mul", &[&inverse.name, &normalized]);
        let factor = step("Add", &[&factor, &passed]);
        let y = step("Mul", &[&x.name, &factor]);
        self.reshape(place, &y, &[0, 0, -1], Form::Places)
    }

    /// `x cos + rotate_half(x) sin`, where a product with a matrix of signs brings each channel to its partner's place.
    pub(super) fn rope(&mut self, place: &str, x: &Value, heads: u32, [places, d]: [u32; 2]) -> Value {
        let x = self.parted(place, x, heads);
        let half = d / 2;
        // Queries and keys take the cosines and sines of both halves' common angles, and values 1 and 0.
        let [mut cos, mut sin] = [vec![], vec![]];
        for row in rope_table(places, d).chunks_exact(d as usize) {
            for (all, of_row, of_values) in
                [(&mut cos, &row[..half as usize], 1.0), (&mut sin, &row[half as usize..], 0.0)]
            {
                (0..4).for_each(|_| all.extend(of_row)); // two halves of queries, and two of keys
                all.extend(vec![of_values; d as usize]);
            }
        }
        let dims = [places, 3, 1, d].map(i64::from);
        let cos = self.floats(&format!("rope.cos.{places}x{d}"), &dims, &cos);
        let sin = self.floats(&format!("rope.sin.{places}x{d}"), &dims, &sin);
        let mut signs = vec![0.0; (d * d) as usize];
        for channel in 0..half {
            signs[((channel + half) * d + channel) as usize] = -1.0;
            signs[(channel * d + channel + half) as usize] = 1.0;
        }
        let signs = self.floats(&format!("rope.half.{d}"), &[d.into(), d.into()], &signs);
        let mut step = |kind: &str, inputs: &[&str]| self.node(place, kind, inputs, [], Form::Places).name;
        let (kept, partners) = (step("Mul", &[&x.name, &cos]), step("MatMul", &[&x.name, &signs]));
        let turned = step("Mul", &[&partners, &sin]);
        let y = step("Add", &[&kept, &turned]);
        self.reshape(place, &y, &[0, 0, -1], Form::Places)
    }

    pub(super) fn sinusoids(&mut self, place: &str, x: &Value, [places, c]: [u32; 2]) -> Value {
        let rows = sinusoids_table(places, c);
        let rows: Vec<f32> = rows.chunks(padded(c) as usize).flat_map(|row| &row[..c as usize]).copied().collect();
        let rows = self.floats(&format!("sinusoids.{places}x{c}"), &[places.into(), c.into()], &rows);
        self.node(place, "Add", &[&x.name, &rows], [], Form::Places)
    }

    /// The first `c` channels of `x`, and those of `memory` behind them.
    pub(super) fn cross(&mut self, place: &str, x: &Value, memory: &Value, c: i64) -> Value {
        let mut part = |from: &Value, range: [i64; 2]| {
            let [first, last, axis] = [("first", range[0]), ("last", range[1]), ("axis", 2)]
                .map(|(name, value)| self.integers(&format!("part.{name}.{value}"), &[value]));
            self.node(place, "Slice", &[&from.name, &first, &last, &axis], [], Form::Places).name
        };
        let (queries, others) = (part(x, [0, c]), part(memory, [c, 3 * c]));
        self.node(place, "Concat", &[&queries, &others], [int("axis", 2)], Form::Places)
    }

    /// `[places, places]`: minus infinity for each query and a later key, else 0. It is made by the graph, once, since a file of
    /// many places would be large.
    fn later_places(&mut self, place: &str, places: u32) -> String {
        if let Some(mask) = self.masks.get(&places) {
            return mask.clone();
        }
        let infinity = self.floats("minus.infinity", &[], &[f32::NEG_INFINITY]);
        let shape = self.integers(&format!("mask.shape.{places}"), &[places.into(); 2]);
        let one = self.constant_index(1);
        let all = self.node(place, "Expand", &[&infinity, &shape], [], Form::Places);
        let mask = self.node(place, "Trilu", &[&all.name, &one], [int("upper", 1)], Form::Places).name;
        self.masks.insert(places, mask.clone());
        mask
    }

    pub(super) fn attention(
        &mut self,
        place: &str,
        x: &Value,
        heads: u32,
        causal: bool,
        [places, d]: [u32; 2],
    ) -> Value {
        let x = self.parted(place, x, heads);
        let x = self.transpose(place, &x.name, &[2, 0, 3, 1, 4]);
        let [q, k, v] = [0, 1, 2].map(|part| {
            let index = self.constant_index(part);
            self.node(place, "Gather", &[&x.name, &index], [int("axis", 0)], Form::Places).name
        });
        let factor = self.floats(&format!("attention.factor.{d}"), &[], &[1.0 / (d as f32).sqrt()]);
        let k = self.transpose(place, &k, &[0, 1, 3, 2]).name;
        let mut scores = self.node(place, "MatMul", &[&q, &k], [], Form::Places).name;
        scores = self.node(place, "Mul", &[&scores, &factor], [], Form::Places).name;
        if causal {
            let mask = self.later_places(place, places);
            scores = self.node(place, "Add", &[&scores, &mask], [], Form::Places).name;
        }
        let weights = self.node(place, "Softmax", &[&scores], [int("axis", -1)], Form::Places);
        let y = self.node(place, "MatMul", &[&weights.name, &v], [], Form::Places);
        let y = self.transpose(place, &y.name, &[0, 2, 1, 3]);
        self.reshape(place, &y.name, &[0, 0, -1], Form::Places)
    }
}
