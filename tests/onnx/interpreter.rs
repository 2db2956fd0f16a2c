//! Computes an ONNX model in f64, for the operators that the exporter writes, by the references of the kernels.

use std::collections::HashMap;

use velograd::{
    check::reference::{
        conv2d::{self, Conv},
        elementwise::{normal_cdf, relu},
        linear::{self, Linear},
        pool::{GlobalAvgPool, MaxPool, global_avg_pool, max_pool2d},
    },
    host::onnx::proto::{DataType, GraphProto, NodeProto, TensorProto},
};

/// Dimensions and elements.
#[derive(Clone, Debug)]
pub struct Value {
    pub dims: Vec<usize>,
    pub elements: Vec<f64>,
}

impl Value {
    fn of(tensor: &TensorProto) -> Self {
        let (dims, bytes) = (tensor.dims.iter().map(|&dim| dim as usize).collect(), tensor.raw_data());
        let elements = match tensor.data_type() {
            DataType::Float => bytemuck::pod_collect_to_vec::<u8, f32>(bytes).into_iter().map(f64::from).collect(),
            DataType::Int64 => bytemuck::pod_collect_to_vec::<u8, i64>(bytes).into_iter().map(|v| v as f64).collect(),
            DataType::Undefined => panic!("{}: no type", tensor.name()),
        };
        Self { dims, elements }
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { dims: self.dims.clone(), elements: self.elements.iter().map(|&v| f(v)).collect() }
    }

    /// `f` of each row, the last axis.
    fn rows(&self, f: impl Fn(&[f64]) -> Vec<f64>) -> Self {
        let len = *self.dims.last().expect("rows");
        Self { dims: self.dims.clone(), elements: self.elements.chunks(len).flat_map(f).collect() }
    }

    /// `f` of both, the dimensions of `other` aligned with the last ones of this, and each as long or 1.
    fn with(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let ahead = self.dims.len() - other.dims.len();
        let at = |index: usize| {
            let (mut rest, mut place, mut step) = (index, 0, 1);
            for (axis, &dim) in self.dims.iter().enumerate().rev() {
                if let Some(own) = axis.checked_sub(ahead).map(|axis| other.dims[axis]) {
                    assert!(own == dim || own == 1, "{:?} with {:?}", self.dims, other.dims);
                    place += if own == 1 { 0 } else { step * (rest % dim) };
                    step *= own;
                }
                rest /= dim;
            }
            place
        };
        let elements = self.elements.iter().enumerate().map(|(i, &v)| f(v, other.elements[at(i)])).collect();
        Self { dims: self.dims.clone(), elements }
    }
}

/// The value that the graph returns for this argument, where states are zero.
pub fn run(graph: &GraphProto, images: Value) -> Value {
    let mut values: HashMap<&str, Value> = graph.initializer.iter().map(|t| (t.name(), Value::of(t))).collect();
    values.insert(graph.input[0].name(), images);
    let samples = values[graph.input[0].name()].dims[0];
    for state in &graph.input[1..] {
        let units: usize = state.dims()[1].parse().unwrap();
        values.insert(state.name(), Value { dims: vec![samples, units], elements: vec![0.0; samples * units] });
    }
    for node in &graph.node {
        let inputs = node.input.iter().filter(|name| !name.is_empty()).map(|name| &values[name.as_str()]);
        let inputs: Vec<&Value> = inputs.collect();
        let results = if node.op_type() == "LSTM" { lstm(&inputs) } else { vec![apply(node, &inputs)] };
        assert_eq!(results.len(), node.output.len(), "{}", node.name());
        values.extend(node.output.iter().map(String::as_str).zip(results));
    }
    values[graph.output[0].name()].clone()
}

fn apply(node: &NodeProto, inputs: &[&Value]) -> Value {
    let attribute = |name: &str| node.attribute.iter().find(|attribute| attribute.name() == name).unwrap();
    let ints = |name: &str| -> Vec<usize> { attribute(name).ints.iter().map(|&value| value as usize).collect() };
    let square = |name: &str| {
        let all = ints(name);
        assert!(all.iter().all(|value| *value == all[0]), "{name} {all:?}");
        all[0]
    };
    let x = inputs[0];
    let map = || <[usize; 4]>::try_from(&x.dims[..]).unwrap_or_else(|_| panic!("{}: {:?}", node.name(), x.dims));
    match node.op_type() {
        "Conv" => {
            let ([n, c, h, w], [k, _, r, s]) = (map(), <[usize; 4]>::try_from(&inputs[1].dims[..]).unwrap());
            assert_eq!(ints("kernel_shape"), [r, s]);
            let conv = Conv { n, c, h, w, k, r, s, stride: square("strides"), padding: square("pads") };
            let elements = conv2d::forward(&conv, &x.elements, &inputs[1].elements).value;
            Value { dims: vec![n, k, conv.p(), conv.q()], elements }
        }
        "MaxPool" => {
            let [n, c, h, w] = map();
            let (kernel, stride, padding) = (square("kernel_shape"), square("strides"), square("pads"));
            let pool = MaxPool { n, c, h, w, kernel, stride, padding };
            Value { dims: vec![n, c, pool.p(), pool.q()], elements: max_pool2d(&pool, &x.elements).0 }
        }
        "GlobalAveragePool" => {
            let [n, c, h, w] = map();
            let elements = global_avg_pool(&GlobalAvgPool { n, c, h, w }, &x.elements).value;
            Value { dims: vec![n, c, 1, 1], elements }
        }
        "BatchNormalization" => {
            let [weight, bias, mean, var] = [1, 2, 3, 4].map(|i| column(inputs[i]));
            let eps = f64::from(attribute("epsilon").f());
            let deviation = var.map(|v| (v + eps).sqrt());
            let centred = x.with(&mean, |x, mean| x - mean).with(&deviation, |x, deviation| x / deviation);
            centred.with(&weight, |x, weight| x * weight).with(&bias, |x, bias| x + bias)
        }
        "Gemm" => {
            assert_eq!(attribute("transB").i(), 1);
            let ([n, c], [outputs, _]) = ([x.dims[0], x.dims[1]], [inputs[1].dims[0], inputs[1].dims[1]]);
            let bias = inputs.get(2).map_or(vec![0.0; outputs], |bias| bias.elements.clone());
            let shape = Linear { n, inputs: c, outputs };
            let elements = linear::forward(&shape, &x.elements, &inputs[1].elements, &bias).value;
            Value { dims: vec![n, outputs], elements }
        }
        "Flatten" => {
            assert_eq!(attribute("axis").i(), 1);
            Value { dims: vec![x.dims[0], x.dims[1..].iter().product()], elements: x.elements.clone() }
        }
        "Reshape" => {
            let known = |(axis, &dim): (usize, &f64)| if dim == 0.0 { x.dims[axis] as f64 } else { dim };
            let dims: Vec<f64> = inputs[1].elements.iter().enumerate().map(known).collect();
            let rest = x.elements.len() as f64 / dims.iter().filter(|&&dim| dim > 0.0).product::<f64>();
            let dims: Vec<usize> = dims.into_iter().map(|dim| if dim < 0.0 { rest } else { dim } as usize).collect();
            assert_eq!(dims.iter().product::<usize>(), x.elements.len(), "{:?} as {dims:?}", x.dims);
            Value { dims, elements: x.elements.clone() }
        }
        "MatMul" => matmul(x, inputs[1]),
        "Transpose" => transpose(x, &ints("perm")),
        "Gather" => {
            let axis = attribute("axis").i() as usize;
            let [before, after] = [&x.dims[..axis], &x.dims[axis + 1..]].map(|dims| dims.iter().product::<usize>());
            let at = |outer: usize, index: f64| {
                let first = (outer * x.dims[axis] + index as usize) * after;
                x.elements[first..first + after].to_vec()
            };
            let indices = &inputs[1].elements;
            let elements = (0..before).flat_map(|outer| indices.iter().flat_map(move |&index| at(outer, index)));
            Value {
                elements: elements.collect(),
                dims: [&x.dims[..axis], &inputs[1].dims, &x.dims[axis + 1..]].concat(),
            }
        }
        "Slice" => {
            let [first, last, axis] = [1, 2, 3].map(|i| inputs[i].elements[0] as usize);
            let after: usize = x.dims[axis + 1..].iter().product();
            let rows = x.elements.chunks(x.dims[axis] * after);
            let mut dims = x.dims.clone();
            dims[axis] = last - first;
            Value { dims, elements: rows.flat_map(|row| row[first * after..last * after].to_vec()).collect() }
        }
        "Shape" => {
            let range = attribute("start").i() as usize..attribute("end").i() as usize;
            let elements: Vec<f64> = x.dims[range].iter().map(|&dim| dim as f64).collect();
            Value { dims: vec![elements.len()], elements }
        }
        "Expand" => {
            let dims: Vec<usize> = inputs[1].elements.iter().map(|&dim| dim as usize).collect();
            let own = |axis: usize| (axis + x.dims.len()).checked_sub(dims.len()).map_or(1, |axis| x.dims[axis]);
            let dims: Vec<usize> = dims.iter().enumerate().map(|(axis, &dim)| dim.max(own(axis))).collect();
            let zeros = Value { elements: vec![0.0; dims.iter().product()], dims };
            zeros.with(x, |_, x| x)
        }
        "Concat" => {
            let axis = attribute("axis").i() as usize;
            let row = |value: &Value| value.dims[axis..].iter().product::<usize>();
            let outer: usize = x.dims[..axis].iter().product();
            let part = |value: &Value, nth: usize| value.elements[nth * row(value)..(nth + 1) * row(value)].to_vec();
            let elements = (0..outer).flat_map(|nth| inputs.iter().flat_map(move |value| part(value, nth))).collect();
            let mut dims = x.dims.clone();
            dims[axis] = inputs.iter().map(|value| value.dims[axis]).sum();
            Value { dims, elements }
        }
        "Trilu" => {
            assert_eq!((attribute("upper").i(), inputs[1].elements[0]), (1, 1.0));
            let columns = x.dims[1];
            let kept = |(i, &v): (usize, &f64)| if i % columns > i / columns { v } else { 0.0 };
            Value { dims: x.dims.clone(), elements: x.elements.iter().enumerate().map(kept).collect() }
        }
        "Softmax" => {
            assert_eq!(attribute("axis").i(), -1);
            x.rows(|row| {
                let largest = row.iter().fold(f64::NEG_INFINITY, |largest, v| largest.max(*v));
                let total: f64 = row.iter().map(|v| (v - largest).exp()).sum();
                row.iter().map(|v| (v - largest).exp() / total).collect()
            })
        }
        "LayerNormalization" => {
            assert_eq!(attribute("axis").i(), -1);
            let eps = f64::from(attribute("epsilon").f());
            let normalized = x.rows(|row| {
                let mean = row.iter().sum::<f64>() / row.len() as f64;
                let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / row.len() as f64;
                row.iter().map(|v| (v - mean) / (variance + eps).sqrt()).collect()
            });
            let scaled = normalized.with(inputs[1], |x, weight| x * weight);
            inputs.get(2).map_or(scaled.clone(), |bias| scaled.with(bias, |x, bias| x + bias))
        }
        "ReduceMean" => {
            let (axis, kept) = (attribute("axes").ints[0], attribute("keepdims").i() == 1);
            let axis = if axis < 0 { x.dims.len() - 1 } else { axis as usize };
            let (len, after) = (x.dims[axis], x.dims[axis + 1..].iter().product::<usize>());
            let mean = |outer: usize, inner: usize| {
                (0..len).map(|i| x.elements[(outer * len + i) * after + inner]).sum::<f64>() / len as f64
            };
            let outer = x.elements.len() / (len * after);
            let elements = (0..outer).flat_map(|outer| (0..after).map(move |inner| mean(outer, inner))).collect();
            let mut dims = x.dims.clone();
            dims.splice(axis..=axis, kept.then_some(1));
            Value { dims, elements }
        }
        "Sqrt" => x.map(f64::sqrt),
        "Reciprocal" => x.map(|v| 1.0 / v),
        "Unsqueeze" => {
            assert_eq!(inputs[1].elements, [1.0, 2.0]);
            column(x)
        }
        "Add" => x.with(inputs[1], |a, b| a + b),
        "Sub" => x.with(inputs[1], |a, b| a - b),
        "Mul" => x.with(inputs[1], |a, b| a * b),
        "Div" => x.with(inputs[1], |a, b| a / b),
        "Relu" => Value { dims: x.dims.clone(), elements: relu(&x.elements) },
        "Sigmoid" => x.map(|v| 1.0 / (1.0 + (-v).exp())),
        "Erf" => x.map(|v| 2.0 * normal_cdf(v * std::f64::consts::SQRT_2) - 1.0),
        other => panic!("`{other}` is not written"),
    }
}

/// ONNX's `LSTM` in one direction: all hidden states `[places, 1, n, units]`, and the last state and cell `[1, n, units]`.
fn lstm(inputs: &[&Value]) -> Vec<Value> {
    let [x, of_inputs, of_hidden, bias, hidden, cell] = inputs[..] else { panic!("{} inputs", inputs.len()) };
    let [places, n, c] = x.dims[..] else { panic!("{:?}", x.dims) };
    let units = hidden.dims[2];
    let (mut h, mut memory, mut y) = (hidden.elements.clone(), cell.elements.clone(), vec![]);
    let sigmoid = |v: f64| 1.0 / (1.0 + (-v).exp());
    for place in 0..places {
        let before = h.clone();
        for sample in 0..n {
            let (x, before) = (&x.elements[(place * n + sample) * c..][..c], &before[sample * units..][..units]);
            let dot = |row: &[f64], with: &[f64]| row.iter().zip(with).map(|(a, b)| a * b).sum::<f64>();
            for unit in 0..units {
                // Input, output, forget, cell.
                let [i, o, f, g] = [0, 1, 2, 3].map(|gate| {
                    let row = gate * units + unit;
                    let products = dot(&of_inputs.elements[row * c..][..c], x);
                    let products = products + dot(&of_hidden.elements[row * units..][..units], before);
                    products + bias.elements[row] + bias.elements[4 * units + row]
                });
                let at = sample * units + unit;
                memory[at] = sigmoid(f) * memory[at] + sigmoid(i) * g.tanh();
                h[at] = sigmoid(o) * memory[at].tanh();
            }
        }
        y.extend_from_slice(&h);
    }
    let last = vec![1, n, units];
    vec![
        Value { dims: vec![places, 1, n, units], elements: y },
        Value { dims: last.clone(), elements: h },
        Value { dims: last, elements: memory },
    ]
}

/// The products of the last two axes; the axes before them are those of `x`, or `y` has none.
fn matmul(x: &Value, y: &Value) -> Value {
    let ([rows, inner], [_, columns]) = (ends(x), ends(y));
    let (matrices, shared) = (x.elements.len() / (rows * inner), y.dims.len() == 2);
    let mut elements = vec![];
    for matrix in 0..matrices {
        let y = if shared { &y.elements[..] } else { &y.elements[matrix * inner * columns..] };
        for row in x.elements[matrix * rows * inner..(matrix + 1) * rows * inner].chunks(inner) {
            elements.extend(
                (0..columns)
                    .map(|column| row.iter().enumerate().map(|(k, x)| x * y[k * columns + column]).sum::<f64>()),
            );
        }
    }
    let mut dims = x.dims.clone();
    *dims.last_mut().unwrap() = columns;
    Value { dims, elements }
}

/// The last two dimensions.
fn ends(x: &Value) -> [usize; 2] {
    *x.dims.last_chunk().expect("a matrix")
}

fn transpose(x: &Value, order: &[usize]) -> Value {
    let dims: Vec<usize> = order.iter().map(|&axis| x.dims[axis]).collect();
    let step = |axis: usize| x.dims[axis + 1..].iter().product::<usize>();
    let place = |mut index: usize| {
        let mut place = 0;
        for (&dim, &axis) in dims.iter().zip(order).rev() {
            place += index % dim * step(axis);
            index /= dim;
        }
        place
    };
    let elements = (0..x.elements.len()).map(|index| x.elements[place(index)]).collect();
    Value { dims, elements }
}

/// A value per channel, as `[c, 1, 1]`.
fn column(x: &Value) -> Value {
    Value { dims: vec![x.dims[0], 1, 1], elements: x.elements.clone() }
}
