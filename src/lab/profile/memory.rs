//! A picture of which buffer each activation lives in, and how long.

use std::fmt::Write as _;

use crate::{
    lab::figure::{escape, linear_ticks},
    program::{Recording, Tensor, plan::Plan},
};

const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 560.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 46.0;

/// The buffers of the pool are stacked by size, and tensors drawn in them from the dispatch that makes them to the last
/// that reads them. `index` is the recording's index in the plan.
pub fn memory_svg(recording: &Recording, plan: &Plan, index: usize) -> String {
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
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w:.0} {h:.0}\" width=\"{w:.0}\" height=\"{h:.0}\" role=\"img\" \
         font-family=\"'Noto Sans', Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <title>Memory of activations over an update</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-weight=\"bold\">Activations and their gradients: {:.1} MB in {} buffers</text>\n",
        total / 1e6,
        plan.pool.len(),
        w = LEFT + WIDTH + 20.0,
        h = TOP + HEIGHT + 50.0,
    );
    for (tensor, info) in recording.tensors.iter().enumerate() {
        let (Some((first, last)), Some(buffer)) =
            (recording.lifetime(Tensor::nth(tensor)), plan.buffer(index, Tensor::nth(tensor)))
        else {
            continue;
        };
        // Three colours: made in the forward pass and read in the backward pass; used only in the forward pass; only in
        // the backward.
        let colour = match (first < recording.forward_calls, last < recording.forward_calls) {
            (true, false) => "#0072B2",
            (true, true) => "#56B4E9",
            (false, _) => "#D55E00",
        };
        let bytes = 4 * info.words;
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.2}\" width=\"{:.1}\" height=\"{:.2}\" fill=\"{colour}\" stroke=\"#fff\" stroke-width=\"0.5\">\
             <title>{} {:?}, {:.2} MB, dispatches {first} to {last}</title></rect>",
            x(first),
            tops[buffer],
            x(last + 1) - x(first),
            height(bytes).max(0.3),
            escape(&info.label),
            info.shape,
            bytes as f64 / 1e6
        );
    }
    let (turn, bottom) = (x(recording.forward_calls), TOP + HEIGHT);
    let _ = writeln!(svg, "<path d=\"M{turn:.1} {TOP}V{bottom}\" stroke=\"#000\" stroke-dasharray=\"4 3\"/>");
    for (at, text) in [(LEFT, "forward"), (turn + 6.0, "backward")] {
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{:.1}\">{text}</text>", TOP - 6.0);
    }
    for (megabytes, text) in linear_ticks(0.0, total / 1e6, 5, 0.0) {
        let y = TOP + HEIGHT * megabytes / (total / 1e6);
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} {y:.1}h5\" stroke=\"#222\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text} MB</text>",
            LEFT - 5.0,
            LEFT - 8.0,
            y + 4.0
        );
    }
    let legend =
        [("#0072B2", "kept for the backward pass"), ("#56B4E9", "forward alone"), ("#D55E00", "backward alone")];
    for (nth, (colour, text)) in legend.iter().enumerate() {
        let at = LEFT + 230.0 * nth as f64;
        let _ = writeln!(
            svg,
            "<rect x=\"{at:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
            bottom + 22.0,
            at + 18.0,
            bottom + 32.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}
