//! The graph of ONNX operators that a recording's notes describe.
//!
//! Maps are `[n, c, h, w]` in ONNX, where velograd's are `[n, h, w, c]`; only the order of dimensions differs. Places in a line are
//! `[n, places, c]`, and what a linear layer makes of a map is `[n, c]`.

mod places;
mod recurrent;

use std::collections::BTreeMap;

use super::{
    BATCH, IMAGES, Input, OUTPUT, TOKENS,
    proto::{
        AttributeProto, AttributeType, DataType, Dimension, GraphProto, NodeProto, TensorProto, TensorShapeProto,
        TypeProto, TypeProtoTensor, ValueInfoProto,
    },
};
use crate::{
    error::Result,
    program::{BufferKind, Op, Recording, Slot, Tensor},
    training::weights::{Weights, take},
};

/// A value of the graph.
#[derive(Clone)]
struct Value {
    name: String,
    form: Form,
}

/// The dimensions of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `[n, c, h, w]`
    Map,
    /// `[n, places, c]`
    Places,
    /// `[n, c]`
    Rows,
}

struct Builder<'a> {
    recording: &'a Recording,
    weights: &'a Weights,
    input: Input,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    /// The value of the graph that each tensor of the recording became, by the tensor's index.
    values: BTreeMap<usize, Value>,
    /// The masks of attention that have been made, by the number of places.
    masks: BTreeMap<u32, String>,
    /// The states that layers leave: a value, the name of the result that it becomes, and the units.
    left: Vec<(String, String, u32)>,
    /// How often each name of a node was asked for.
    names: BTreeMap<String, u32>,
}

/// The graph of an evaluation's recording with these weights.
pub(super) fn graph(recording: &Recording, weights: &Weights, input: Input, name: &str) -> Result<GraphProto> {
    let (inputs, outputs, nodes, initializers, left) = (vec![], vec![], vec![], vec![], vec![]);
    let (values, masks, names) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut builder =
        Builder { recording, weights, input, inputs, outputs, nodes, initializers, values, masks, left, names };
    for node in recording.graph()? {
        let mut value = node.x.map(|x| builder.value(x));
        let shape = recording.info(node.y).shape;
        for op in &node.ops {
            let [_, h, w, c] = shape;
            match op {
                Op::Images { .. } => builder.inputs.push(info(IMAGES, DataType::Float, &[c, h, w])),
                Op::Tokens => builder.inputs.push(info(TOKENS, DataType::Int64, &[h * w])),
                _ => {}
            }
            value = Some(builder.apply(&node.label, op, value, shape));
        }
        builder.values.insert(node.y.index(), value.expect("a note has an argument, or the images"));
    }
    let output = recording.output.expect("a graph has one");
    let logits = builder.value(output);
    let [_, h, w, c] = recording.info(output).shape;
    let (logits, dims) = match logits.form {
        Form::Places => (logits, vec![h * w, c]),
        Form::Map | Form::Rows => (builder.rows("output", logits), vec![c]),
    };
    builder.rename(&logits.name, OUTPUT);
    builder.outputs.push(info(OUTPUT, DataType::Float, &dims));
    builder.states_left();
    let Builder { nodes: node, initializers: initializer, inputs: input, outputs: output, .. } = builder;
    Ok(GraphProto { node, name: Some(name.into()), initializer, input, output })
}

impl Builder<'_> {
    fn value(&self, tensor: Tensor) -> Value {
        self.values[&tensor.index()].clone()
    }

    /// Adds the nodes that compute `op` of `x` at this place in the network, the last of a node whose result has this shape.
    fn apply(&mut self, place: &str, op: &Op, x: Option<Value>, [_, h, w, c]: [u32; 4]) -> Value {
        match op {
            Op::Images { channels, mean, std } => return self.images(place, *channels as usize, *mean, *std),
            Op::Tokens => return Value { name: TOKENS.into(), form: Form::Rows },
            _ => {}
        }
        let x = x.expect("only samples have no argument");
        match *op {
            Op::Images { .. } | Op::Tokens => unreachable!("returned above"),
            Op::Embedding(weight) => {
                let (weight, _) = self.parameter(weight);
                self.node(place, "Gather", &[&weight, &x.name], [int("axis", 0)], Form::Places)
            }
            Op::Positions(weight) => self.positions(place, x, weight, h * w),
            Op::FirstRow(weight) => self.first_row(place, &x, weight),
            Op::ClassToken(token) => self.class_token(place, x, token),
            Op::FirstPlace => self.first_place(place, x),
            Op::LayerNorm { weight, bias, eps } => {
                let params: Vec<_> = std::iter::once(weight).chain(bias).map(|slot| self.parameter(slot).0).collect();
                let inputs: Vec<_> = std::iter::once(&x.name).chain(&params).map(String::as_str).collect();
                let options = [int("axis", -1), float("epsilon", eps)];
                self.node(place, "LayerNormalization", &inputs, options, x.form)
            }
            Op::RmsNorm { weight, eps } => {
                let inverse = self.inverse_root(place, &x, eps);
                let (weight, _) = self.parameter(weight);
                let normalized = self.node(place, "Mul", &[&x.name, &inverse.name], [], x.form);
                self.node(place, "Mul", &[&normalized.name, &weight], [], x.form)
            }
            Op::QkNorm { heads, eps } => self.qk_norm(place, &x, heads, eps),
            Op::Rope { heads } => self.rope(place, &x, heads, [h * w, c / (3 * heads)]),
            Op::Pack { key, value } => {
                let [key, value] = [key, value].map(|tensor| self.value(tensor).name);
                self.node(place, "Concat", &[&x.name, &key, &value], [int("axis", 2)], Form::Places)
            }
            Op::Attention { heads, causal } => self.attention(place, &x, heads, causal, [h * w, c / heads]),
            Op::Lstm { params, units, layer } => self.lstm(place, x, params, [units, layer]),
            Op::Sinusoids => self.sinusoids(place, &x, [h * w, c]),
            Op::Cross(memory) => {
                let memory = self.value(memory);
                self.cross(place, &x, &memory, i64::from(c / 3))
            }
            Op::Conv2d { weight, stride, padding } => {
                let (name, dims) = self.parameter(weight);
                let options = [ints("kernel_shape", &dims[2..]), strides(stride), pads(padding)];
                self.node(place, "Conv", &[&x.name, &name], options, Form::Map)
            }
            Op::Linear { weight, bias } => {
                if x.form == Form::Places {
                    return self.linear_of_places(place, &x, weight, bias);
                }
                let x = self.rows(place, x);
                let params = std::iter::once(weight).chain(bias).map(|slot| self.parameter(slot).0);
                let inputs: Vec<String> = std::iter::once(x.name).chain(params).collect();
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                self.node(place, "Gemm", &inputs, [int("transB", 1)], Form::Rows)
            }
            Op::BatchNorm { weight, bias, mean, var, eps } => {
                let [weight, bias, mean, var] = [weight, bias, mean, var].map(|slot| self.parameter(slot).0);
                let inputs = [x.name.as_str(), &weight, &bias, &mean, &var];
                self.node(place, "BatchNormalization", &inputs, [float("epsilon", eps)], x.form)
            }
            Op::Bias(bias) => {
                let (mut bias, _) = self.parameter(bias);
                if x.form == Form::Map {
                    let axes = self.integers("channel.axes", &[1, 2]);
                    bias = self.node(place, "Unsqueeze", &[&bias, &axes], [], Form::Map).name;
                }
                self.node(place, "Add", &[&x.name, &bias], [], x.form)
            }
            Op::MaxPool2d { kernel, stride, padding } => {
                let options = [ints("kernel_shape", &[i64::from(kernel); 2]), strides(stride), pads(padding)];
                self.node(place, "MaxPool", &[&x.name], options, Form::Map)
            }
            Op::GlobalAvgPool if x.form == Form::Places => {
                self.node(place, "ReduceMean", &[&x.name], [ints("axes", &[1]), int("keepdims", 0)], Form::Rows)
            }
            Op::GlobalAvgPool => self.node(place, "GlobalAveragePool", &[&x.name], [], Form::Map),
            Op::AdaptiveAvgPool2d { map, out } => self.adaptive_avg_pool(place, &x, map, out),
            Op::Flatten => self.rows(place, x),
            Op::Add(other) => {
                let (mut x, mut other) = (x, self.value(other));
                if x.form != other.form {
                    (x, other) = (self.rows(place, x), self.rows(place, other));
                }
                self.node(place, "Add", &[&x.name, &other.name], [], x.form)
            }
            Op::Scale(factor) => {
                let factor = self.floats(&format!("{place}.factor"), &[], &[factor]);
                self.node(place, "Mul", &[&x.name, &factor], [], x.form)
            }
            Op::Relu => self.node(place, "Relu", &[&x.name], [], x.form),
            Op::Gelu => self.gelu(place, &x),
            Op::GeluTanh => self.gelu_tanh(place, &x),
            Op::Relu2 => {
                let x = self.node(place, "Relu", &[&x.name], [], x.form);
                self.node(place, "Mul", &[&x.name, &x.name], [], x.form)
            }
        }
    }

    /// The network's input, normalized here or by the caller.
    fn images(&mut self, place: &str, channels: usize, mean: [f64; 3], std: [f64; 3]) -> Value {
        let images = Value { name: IMAGES.into(), form: Form::Map };
        if self.input == Input::Normalized {
            return images;
        }
        let [mean, std] = [("mean", mean), ("std", std)].map(|(name, values)| {
            let values = values.map(|v| v as f32);
            self.floats(&format!("{place}.{name}"), &[channels as i64, 1, 1], &values[..channels])
        });
        let centred = self.node(place, "Sub", &[&images.name, &mean], [], Form::Map);
        self.node(place, "Div", &[&centred.name, &std], [], Form::Map)
    }

    /// `x (1 + erf(x / sqrt 2)) / 2`: `Gelu` itself is only in newer sets of operators than others need.
    fn gelu(&mut self, place: &str, x: &Value) -> Value {
        let constants = [("gelu.root", std::f32::consts::SQRT_2), ("gelu.one", 1.0), ("gelu.half", 0.5)];
        let [root, one, half] = constants.map(|(name, value)| self.floats(name, &[], &[value]));
        let mut step = |kind: &str, inputs: &[&str]| self.node(place, kind, inputs, [], x.form).name;
        let scaled = step("Div", &[&x.name, &root]);
        let erf = step("Erf", &[&scaled]);
        let twice = step("Add", &[&erf, &one]);
        let product = step("Mul", &[&x.name, &twice]);
        Value { name: step("Mul", &[&product, &half]), form: x.form }
    }

    /// `x / (1 + exp(-2u))` with `u = sqrt(2 / pi) (x + 0.044715 x^3)`, which is `x (1 + tanh(u)) / 2`.
    fn gelu_tanh(&mut self, place: &str, x: &Value) -> Value {
        let constants =
            [("gelu.cubic", 0.044_715), ("gelu.one", 1.0), ("gelu.slope", 2.0 * (2.0 / std::f32::consts::PI).sqrt())];
        let [cubic, one, slope] = constants.map(|(name, value)| self.floats(name, &[], &[value]));
        let mut step = |kind: &str, inputs: &[&str]| self.node(place, kind, inputs, [], x.form).name;
        let square = step("Mul", &[&x.name, &x.name]);
        let cubic = step("Mul", &[&square, &cubic]);
        let factor = step("Add", &[&cubic, &one]);
        let scaled = step("Mul", &[&x.name, &slope]);
        let argument = step("Mul", &[&scaled, &factor]);
        let share = step("Sigmoid", &[&argument]);
        Value { name: step("Mul", &[&x.name, &share]), form: x.form }
    }

    /// Means over windows, which no operator of ONNX describes: each map as a row, times a matrix whose columns are the windows.
    fn adaptive_avg_pool(&mut self, place: &str, x: &Value, map: [u32; 2], out: u32) -> Value {
        let [h, w] = map;
        let span = |p: u32, size: u32| p * size / out..((p + 1) * size).div_ceil(out);
        let mut windows = vec![0.0; (h * w * out * out) as usize];
        for (p, q) in (0..out).flat_map(|p| (0..out).map(move |q| (p, q))) {
            let (rows, columns) = (span(p, h), span(q, w));
            let share = 1.0 / (rows.len() * columns.len()) as f32;
            for (r, s) in rows.flat_map(|r| columns.clone().map(move |s| (r, s))) {
                windows[((r * w + s) * out * out + p * out + q) as usize] = share;
            }
        }
        let windows = self.floats(&format!("{place}.windows"), &[(h * w).into(), (out * out).into()], &windows);
        let x = self.reshape(place, &x.name, &[0, 0, (h * w).into()], Form::Map);
        let x = self.node(place, "MatMul", &[&x.name, &windows], [], Form::Map);
        self.reshape(place, &x.name, &[0, 0, out.into(), out.into()], Form::Map)
    }

    /// The value as `[n, c]`.
    fn rows(&mut self, place: &str, x: Value) -> Value {
        match x.form {
            Form::Rows => x,
            _ => self.node(place, "Flatten", &[&x.name], [int("axis", 1)], Form::Rows),
        }
    }

    /// The value with these dimensions, of which 0 stands for the one as it is, and -1 for what is left.
    fn reshape(&mut self, place: &str, x: &str, dims: &[i64], form: Form) -> Value {
        let words: Vec<_> = dims.iter().map(i64::to_string).collect();
        let shape = self.integers(&format!("shape.{}", words.join("x")), dims);
        self.node(place, "Reshape", &[x, &shape], [], form)
    }

    /// Adds a node, and returns its result, which has the node's name.
    fn node<const N: usize>(
        &mut self,
        place: &str,
        kind: &str,
        inputs: &[&str],
        attribute: [AttributeProto; N],
        form: Form,
    ) -> Value {
        let plain = format!("{place}/{kind}");
        let before = self.names.entry(plain.clone()).or_insert(0);
        let name = if *before == 0 { plain } else { format!("{plain}_{before}") };
        *before += 1;
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.clone()],
            name: Some(name.clone()),
            op_type: Some(kind.into()),
            attribute: attribute.into(),
        });
        Value { name, form }
    }

    /// Gives a value another name.
    fn rename(&mut self, from: &str, to: &str) {
        let names = self.nodes.iter_mut().flat_map(|node| node.input.iter_mut().chain(&mut node.output));
        names.filter(|name| *name == from).for_each(|name| to.clone_into(name));
    }

    /// Adds a parameter, and returns its name and its dimensions.
    fn parameter(&mut self, slot: Slot) -> (String, Vec<i64>) {
        let segment = self.recording.segment(slot).expect("a note names parameters and running statistics");
        let running =
            matches!(slot, Slot::Buffer { buffer, .. } if *self.recording.kind(buffer) == BufferKind::Running);
        let arena = if running { &self.weights.running } else { &self.weights.params };
        let dims: Vec<i64> = segment.shape.dims().iter().map(|&dim| dim as i64).collect();
        let name = segment.name.clone();
        (self.floats(&name, &dims, &take(arena, segment)), dims)
    }

    fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) -> String {
        self.constant(name, dims, DataType::Float, bytemuck::cast_slice(values))
    }

    fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.constant(name, &[values.len() as i64], DataType::Int64, bytemuck::cast_slice(values))
    }

    /// Adds a tensor, once, and returns its name. The machine's bytes are little-endian on every device that wgpu knows.
    fn constant(&mut self, name: &str, dims: &[i64], data_type: DataType, bytes: &[u8]) -> String {
        if self.initializers.iter().all(|known| known.name() != name) {
            let (name, raw_data) = (Some(name.to_owned()), Some(bytes.to_vec()));
            self.initializers.push(TensorProto {
                dims: dims.into(),
                data_type: Some(data_type.into()),
                name,
                raw_data,
            });
        }
        name.to_owned()
    }
}

/// A value of the graph's own: any number of samples, and then these dimensions.
fn info(name: &str, elements: DataType, dims: &[u32]) -> ValueInfoProto {
    let batch = Dimension { dim_value: None, dim_param: Some(BATCH.into()) };
    let dims = dims.iter().map(|&dim| Dimension { dim_value: Some(dim.into()), dim_param: None });
    let shape = Some(TensorShapeProto { dim: std::iter::once(batch).chain(dims).collect() });
    let tensor_type = Some(TypeProtoTensor { elem_type: Some(elements.into()), shape });
    ValueInfoProto { name: Some(name.into()), r#type: Some(TypeProto { tensor_type }) }
}

fn strides(stride: u32) -> AttributeProto {
    ints("strides", &[stride.into(); 2])
}

fn pads(padding: u32) -> AttributeProto {
    ints("pads", &[padding.into(); 4])
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: Some(name.into()), r#type: Some(kind.into()), ..AttributeProto::default() }
}

fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, AttributeType::Float) }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, AttributeType::Int) }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.into(), ..attribute(name, AttributeType::Ints) }
}
