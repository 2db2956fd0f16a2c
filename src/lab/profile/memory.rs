//! A picture of which buffer each activation lives in, and how long.

use crate::{
    lab::figure::{Anchor, Drawing, Ink, Shape, Text, linear_ticks},
    program::{Recording, Tensor, plan::Plan},
};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 46.0;
/// Colours of tensors: made in the forward pass and read in the backward pass; used only in the forward pass; only in the
/// backward pass.
const KEPT: Ink = Ink::new(0x0072B2);
const FORWARD: Ink = Ink::new(0x56B4E9);
const BACKWARD: Ink = Ink::new(0xD55E00);

/// The buffers of the pool are stacked by size, and tensors drawn in them from the dispatch that makes them to the last
/// that reads them. `index` is the recording's index in the plan.
pub fn memory(recording: &Recording, plan: &Plan, index: usize) -> Drawing {
    let calls = recording.calls.len().max(1) as f64;
    let total = plan.bytes().max(1) as f64;
    let x = |call: usize| LEFT + WIDTH * call as f64 / calls;
    let height = |bytes: u64| HEIGHT * bytes as f64 / total;
    let mut tops = Vec::new();
    let mut top = TOP;
    for &bytes in &plan.pool {
        tops.push(top);
        top += height(bytes);
    }
    let size = [LEFT + WIDTH + 20.0, TOP + HEIGHT + 50.0];
    let mut drawing = Drawing::new("Memory of activations over an update", size);
    let title = format!("Activations and their gradients: {:.1} MB in {} buffers", total / 1e6, plan.pool.len());
    drawing.write(Text::new([LEFT, 20.0], Anchor::Start, title).bold());
    for (tensor, info) in recording.tensors.iter().enumerate() {
        let (Some((first, last)), Some(buffer)) =
            (recording.lifetime(Tensor::nth(tensor)), plan.buffer(index, Tensor::nth(tensor)))
        else {
            continue;
        };
        let ink = match (first < recording.forward_calls, last < recording.forward_calls) {
            (true, false) => KEPT,
            (true, true) => FORWARD,
            (false, _) => BACKWARD,
        };
        let bytes = 4 * info.words;
        let tip =
            format!("{} {:?}, {:.2} MB, dispatches {first} to {last}", info.label, info.shape, bytes as f64 / 1e6);
        let bar = Shape::rectangle([x(first), tops[buffer]], [x(last + 1) - x(first), height(bytes).max(0.3)]);
        drawing.draw(bar.fill(ink).stroke(Ink::new(0xffffff), 0.5).tip(tip));
    }
    let (turn, bottom) = (x(recording.forward_calls), TOP + HEIGHT);
    drawing.draw(Shape::line([[turn, TOP], [turn, bottom]]).dashed(Ink::new(0x000000), 1.0, &[4.0, 3.0]));
    for (at, text) in [(LEFT, "forward"), (turn + 6.0, "backward")] {
        drawing.write(Text::new([at, TOP - 6.0], Anchor::Start, text));
    }
    for (megabytes, text) in linear_ticks(0.0, total / 1e6, 5, 0.0) {
        let y = TOP + HEIGHT * megabytes / (total / 1e6);
        drawing.draw(Shape::line([[LEFT - 5.0, y], [LEFT, y]]).stroke(Ink::new(0x222222), 1.0));
        drawing.write(Text::new([LEFT - 8.0, y + 4.0], Anchor::End, format!("{text} MB")));
    }
    let legend = [(KEPT, "kept for the backward pass"), (FORWARD, "forward alone"), (BACKWARD, "backward alone")];
    for (nth, (ink, text)) in legend.into_iter().enumerate() {
        let at = LEFT + 230.0 * nth as f64;
        drawing.draw(Shape::rectangle([at, bottom + 22.0], [12.0, 12.0]).fill(ink));
        drawing.write(Text::new([at + 18.0, bottom + 32.0], Anchor::Start, text));
    }
    drawing
}
