//! Layers that go on from a state: the graph takes the state, and returns the one that it leaves.

use super::{Builder, Form, Value, info, int};
use crate::{host::onnx::proto::DataType, program::Slot};

impl Builder<'_> {
    /// `LSTM`, with the gates in ONNX's order: input, output, forget, cell.
    pub(super) fn lstm(&mut self, place: &str, x: Value, params: [Slot; 4], [units, layer]: [u32; 2]) -> Value {
        let size = i64::from(units);
        let rows: Vec<i64> = [0, 3, 1, 2].into_iter().flat_map(|gate| gate * size..(gate + 1) * size).collect();
        let rows = self.integers(&format!("gates.{units}"), &rows);
        let [of_inputs, of_hidden, first, second] = params.map(|slot| {
            let (name, _) = self.parameter(slot);
            self.node(place, "Gather", &[&name, &rows], [int("axis", 0)], Form::Rows).name
        });
        let [of_inputs, of_hidden] =
            [of_inputs, of_hidden].map(|weight| self.reshape(place, &weight, &[1, 4 * size, -1], Form::Places).name);
        let bias = self.node(place, "Concat", &[&first, &second], [int("axis", 0)], Form::Rows);
        let bias = self.reshape(place, &bias.name, &[1, 8 * size], Form::Rows).name;
        let states = ["hidden", "cell"].map(|state| format!("{state}_l{layer}"));
        self.inputs.extend(states.iter().map(|name| info(name, DataType::Float, &[units])));
        let [hidden, cell] = states.each_ref().map(|name| self.reshape(place, name, &[1, -1, size], Form::Places).name);

        // ONNX has the places before the samples.
        let x = self.places(place, x);
        let x = self.transpose(place, &x.name, &[1, 0, 2]).name;
        let y = self.node(
            place,
            "LSTM",
            &[&x, &of_inputs, &of_hidden, &bias, "", &hidden, &cell],
            [int("hidden_size", size)],
            Form::Places,
        );
        for state in states {
            let left = format!("{}/{state}", y.name);
            self.nodes.last_mut().expect("it was added").output.push(left.clone());
            self.left.push((left, format!("{state}_out"), units));
        }
        let y = self.reshape(place, &y.name, &[0, -1, size], Form::Places);
        self.transpose(place, &y.name, &[1, 0, 2])
    }

    /// Adds what is left of each state to the graph's results.
    pub(super) fn states_left(&mut self) {
        for (left, name, units) in std::mem::take(&mut self.left) {
            let state = self.reshape("left", &left, &[-1, units.into()], Form::Rows);
            self.rename(&state.name, &name);
            self.outputs.push(info(&name, DataType::Float, &[units]));
        }
    }
}
