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

/// The value that the graph returns for this argument.
pub fn run(graph: &GraphProto, images: Value) -> Value {
    let mut values: HashMap<&str, Value> = graph.initializer.iter().map(|t| (t.name(), Value::of(t))).collect();
    values.insert(graph.input[0].name(), images);
    for node in &graph.node {
        let inputs: Vec<&Value> = node.input.iter().map(|name| &values[name.as_str()]).collect();
        let result = apply(node, &inputs);
        values.insert(&node.output[0], result);
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
            let known = |(axis, &dim): (usize, &f64)| if dim == 0.0 { x.dims[axis] } else { dim as usize };
            let dims: Vec<usize> = inputs[1].elements.iter().enumerate().map(known).collect();
            assert_eq!(dims.iter().product::<usize>(), x.elements.len(), "{:?} as {dims:?}", x.dims);
            Value { dims, elements: x.elements.clone() }
        }
        "MatMul" => {
            let ([n, c, inner], [_, columns]) = (<[usize; 3]>::try_from(&x.dims[..]).unwrap(), [0, inputs[1].dims[1]]);
            let at = |row: usize, column: usize| -> f64 {
                (0..inner).map(|k| x.elements[row * inner + k] * inputs[1].elements[k * columns + column]).sum()
            };
            let elements = (0..n * c).flat_map(|row| (0..columns).map(move |column| (row, column)));
            let elements = elements.map(|(row, column)| at(row, column)).collect();
            Value { dims: vec![n, c, columns], elements }
        }
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

/// A value per channel, as `[c, 1, 1]`.
fn column(x: &Value) -> Value {
    Value { dims: vec![x.dims[0], 1, 1], elements: x.elements.clone() }
}
