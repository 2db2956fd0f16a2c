//! Lays a figure out as a drawing.

use super::{
    Content, Figure, Line, Panel, Row,
    axis::Scale,
    drawing::{Anchor, Drawing, Ink, Shape, Text},
};

/// The colours of Okabe and Ito without yellow, which is hard to see on white.
const COLOURS: [Ink; 7] = [
    Ink::new(0x0072B2),
    Ink::new(0xD55E00),
    Ink::new(0x009E73),
    Ink::new(0xCC79A7),
    Ink::new(0xE69F00),
    Ink::new(0x56B4E9),
    Ink::new(0x000000),
];

/// The dash pattern of each round of colours.
const DASHES: [&[f64]; 3] = [&[], &[7.0, 3.0], &[2.0, 3.0]];

/// Sizes in units of the drawing.
const PLOT_WIDTH: f64 = 330.0;
const PLOT_HEIGHT: f64 = 240.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 50.0;
const ROW: f64 = 26.0;
const GAP: f64 = 14.0;

/// The approximate width of a text in Noto Sans.
fn width(text: &str) -> f64 {
    0.57 * Text::SIZE * text.chars().count() as f64
}

fn colour(nth: usize) -> Ink {
    COLOURS[nth % COLOURS.len()]
}

fn dash(nth: usize) -> &'static [f64] {
    DASHES[nth / COLOURS.len() % DASHES.len()]
}

/// The space of a panel: the margins beside the axes, and the axes themselves.
struct Space {
    left: f64,
    right: f64,
    height: f64,
}

impl Space {
    fn of(panel: &Panel) -> Self {
        match &panel.content {
            Content::Lines(lines) => {
                let label = lines.iter().map(|l| width(&l.label)).fold(0.0, f64::max);
                // Each label needs a line of text, so a panel with many lines is higher.
                let height = PLOT_HEIGHT.max(lines.len() as f64 * (Text::SIZE + 3.0));
                Self { left: 66.0, right: label + 40.0, height }
            }
            Content::Rows(rows) => {
                let label = rows.iter().map(|r| width(&r.label)).fold(0.0, f64::max);
                Self { left: label + 24.0, right: 70.0, height: ROW * rows.len().max(1) as f64 }
            }
        }
    }

    fn width(&self) -> f64 {
        self.left + PLOT_WIDTH + self.right
    }

    fn full_height(&self) -> f64 {
        TOP + self.height + BOTTOM
    }

    /// The axes, where the panel's upper left corner is at (`x`, `y`).
    fn axes(&self, x: f64, y: f64) -> Axes {
        let (left, top) = (x + self.left, y + TOP);
        Axes { edge: x, left, right: left + PLOT_WIDTH, top, bottom: top + self.height }
    }
}

/// Where a panel's axes are in the drawing.
struct Axes {
    /// The left edge of the panel.
    edge: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

pub(super) fn figure(figure: &Figure) -> Drawing {
    let spaces: Vec<Space> = figure.panels.iter().map(Space::of).collect();
    let columns = figure.columns.max(1);
    let column_width = |c: usize| spaces.iter().skip(c).step_by(columns).map(Space::width).fold(0.0, f64::max);
    let row_height = |row: &[Space]| row.iter().map(Space::full_height).fold(0.0, f64::max);
    let widths: Vec<f64> = (0..columns.min(spaces.len())).map(column_width).collect();
    let heights: Vec<f64> = spaces.chunks(columns).map(row_height).collect();
    let head = if figure.title.is_empty() { 0.0 } else { 34.0 };
    let size = [widths.iter().map(|w| w + GAP).sum::<f64>() + GAP, head + heights.iter().sum::<f64>() + GAP];

    let mut drawing = Drawing::new(name(figure), size);
    if head > 0.0 {
        drawing.write(Text::new([GAP, 24.0], Anchor::Start, &figure.title).size(15.0).bold());
    }
    for (nth, (panel, space)) in figure.panels.iter().zip(&spaces).enumerate() {
        let (row, column) = (nth / columns, nth % columns);
        let x = GAP + widths[..column].iter().map(|w| w + GAP).sum::<f64>();
        let y = head + heights[..row].iter().sum::<f64>();
        draw_panel(&mut drawing, panel, &space.axes(x, y));
    }
    drawing
}

/// The description of the figure for screen readers.
fn name(figure: &Figure) -> String {
    if !figure.title.is_empty() {
        return figure.title.clone();
    }
    figure.panels.iter().map(|p| p.title.as_str()).collect::<Vec<_>>().join("; ")
}

fn draw_panel(drawing: &mut Drawing, panel: &Panel, axes: &Axes) {
    let &Axes { left, right, top, bottom, .. } = axes;
    drawing.write(Text::new([left, top - 12.0], Anchor::Start, &panel.title).bold());
    match &panel.content {
        Content::Lines(lines) => {
            let xs = lines.iter().flat_map(|l| l.points.iter().map(|p| p.x).chain(l.crosses.iter().copied()));
            let ys = lines.iter().flat_map(|l| l.points.iter().flat_map(|p| [p.y, p.band.0, p.band.1]));
            let x = Scale::new(&panel.x, xs, left, right, 0.03);
            let y = Scale::new(&panel.y, ys, bottom, top, 0.05);
            for (value, text) in y.ticks(6, panel.y.whole) {
                let at = y.at(value);
                drawing.draw(rule([left, at], [right, at]));
                drawing.write(Text::new([left - 7.0, at + 4.0], Anchor::End, text));
            }
            draw_x(drawing, panel, &x, axes);
            let middle = [axes.edge + 14.0, (top + bottom) / 2.0];
            drawing.write(Text::new(middle, Anchor::Middle, &panel.y.label).upwards());
            draw_lines(drawing, lines, &x, &y, axes);
        }
        Content::Rows(rows) => {
            let values = rows.iter().flat_map(|r| {
                let (low, high) = r.interval.unwrap_or((r.value, r.value));
                r.each.iter().copied().chain([r.value, low, high])
            });
            let x = Scale::new(&panel.x, values, left, right, 0.05);
            draw_x(drawing, panel, &x, axes);
            rows.iter().enumerate().for_each(|(nth, row)| draw_row(drawing, nth, row, &x, axes));
        }
    }
}

/// The horizontal axis: rules, numbers and label.
fn draw_x(drawing: &mut Drawing, panel: &Panel, x: &Scale, &Axes { left, right, top, bottom, .. }: &Axes) {
    for (value, text) in x.ticks(6, panel.x.whole) {
        let at = x.at(value);
        drawing.draw(rule([at, top], [at, bottom]));
        drawing.write(Text::new([at, bottom + 17.0], Anchor::Middle, text));
    }
    drawing.draw(Shape::line([[left, bottom], [right, bottom]]).stroke(Ink::new(0x666666), 1.0));
    drawing.write(Text::new([(left + right) / 2.0, bottom + 36.0], Anchor::Middle, &panel.x.label));
}

fn draw_lines(drawing: &mut Drawing, lines: &[Line], x: &Scale, y: &Scale, axes: &Axes) {
    let &Axes { left, right, top, bottom, .. } = axes;
    if !lines.iter().any(|l| l.points.iter().any(|p| x.shows(p.x) && y.shows(p.y))) {
        drawing.write(Text::new([(left + right) / 2.0, (top + bottom) / 2.0], Anchor::Middle, "no values"));
        return;
    }
    // Bands are drawn first, so that they lie below all lines.
    for (nth, line) in lines.iter().enumerate() {
        for run in runs(line, x, y) {
            let edge = |p: &super::Point, side: f64| if y.shows(side) { y.at(side) } else { y.at(p.y) };
            let upper = run.iter().map(|p| [x.at(p.x), edge(p, p.band.1)]);
            let lower = run.iter().rev().map(|p| [x.at(p.x), edge(p, p.band.0)]);
            if run.len() > 1 && run.iter().any(|p| p.band.0 != p.band.1) {
                drawing.draw(Shape::polygon(upper.chain(lower)).fill(colour(nth).opacity(0.16)));
            }
        }
    }
    for (nth, line) in lines.iter().enumerate() {
        for run in runs(line, x, y) {
            let places = run.iter().map(|p| [x.at(p.x), y.at(p.y)]);
            drawing.draw(Shape::line(places).dashed(colour(nth), 1.8, dash(nth)));
            // Points are marked if there are few; many marks would hide the line.
            for point in run.iter().filter(|_| line.points.len() <= 25) {
                let tip = format!("{}: {} at {}", line.label, short(point.y), short(point.x));
                drawing.draw(Shape::circle([x.at(point.x), y.at(point.y)], 2.6).fill(colour(nth)).tip(tip));
            }
        }
        for cross in line.crosses.iter().filter(|c| x.shows(**c)) {
            // Crosses of several lines at one position are drawn side by side.
            let (at, low) = (x.at(*cross) + 7.0 * (nth % COLOURS.len()) as f64, bottom - 7.0);
            for rise in [3.0, -3.0] {
                let stroke = Shape::line([[at - 3.0, low - rise], [at + 3.0, low + rise]]).stroke(colour(nth), 1.8);
                drawing.draw(stroke.tip(format!("{}: diverged at {}", line.label, short(*cross))));
            }
        }
    }
    draw_names(drawing, lines, x, y, axes);
}

/// Each line's name beside its end, moved apart where ends are close.
fn draw_names(drawing: &mut Drawing, lines: &[Line], x: &Scale, y: &Scale, &Axes { right, top, bottom, .. }: &Axes) {
    let end =
        |line: &Line| line.points.iter().rev().find(|p| x.shows(p.x) && y.shows(p.y)).map(|p| [x.at(p.x), y.at(p.y)]);
    let ends = lines.iter().enumerate().filter(|(_, line)| !line.label.is_empty()).map(|(nth, line)| (nth, end(line)));
    let mut names: Vec<(usize, Option<[f64; 2]>)> = ends.collect();
    names.sort_by(|a, b| {
        let height = |end: Option<[f64; 2]>| end.map_or(f64::INFINITY, |e| e[1]);
        height(a.1).total_cmp(&height(b.1))
    });
    let wanted: Vec<f64> = names.iter().map(|(_, end)| end.map_or(bottom, |e| e[1])).collect();
    for ((nth, end), place) in names.iter().zip(spread(&wanted, Text::SIZE + 2.0, top, bottom)) {
        let (start, colour) = (right + 6.0, colour(*nth));
        if let Some(end) = *end {
            drawing.draw(Shape::line([end, [start, place]]).stroke(colour.opacity(0.45), 0.8));
        }
        drawing.draw(Shape::line([[start, place], [start + 18.0, place]]).dashed(colour, 2.4, dash(*nth)));
        drawing.write(Text::new([start + 23.0, place + 4.0], Anchor::Start, &lines[*nth].label));
    }
}

/// Positions at least `apart` from each other and near the wanted ones, which ascend: one sweep down moves them apart,
/// and one up brings them back above `bottom`.
fn spread(wanted: &[f64], apart: f64, top: f64, bottom: f64) -> Vec<f64> {
    let mut places = wanted.to_vec();
    let mut least = top;
    for place in &mut places {
        *place = place.max(least);
        least = *place + apart;
    }
    let mut most = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - apart;
    }
    places
}

fn draw_row(drawing: &mut Drawing, nth: usize, row: &Row, x: &Scale, &Axes { left, right, top, .. }: &Axes) {
    let y = top + ROW * (nth as f64 + 0.5);
    drawing.write(Text::new([left - 9.0, y + 4.0], Anchor::End, &row.label));
    drawing.draw(rule([left, y], [right, y]));
    for value in row.each.iter().filter(|v| x.shows(**v)) {
        drawing.draw(Shape::circle([x.at(*value), y], 3.0).stroke(Ink::new(0x888888), 1.0));
    }
    if let Some((low, high)) = row.interval.filter(|(low, high)| x.shows(*low) && x.shows(*high)) {
        drawing.draw(Shape::line([[x.at(low), y], [x.at(high), y]]).stroke(COLOURS[0], 2.4));
    }
    let value = if x.shows(row.value) {
        drawing.draw(Shape::circle([x.at(row.value), y], 4.5).fill(COLOURS[0]));
        short(row.value)
    } else {
        "-".into()
    };
    drawing.write(Text::new([right + 9.0, y + 4.0], Anchor::Start, value));
}

/// The stretches of a line between its gaps, which are points that cannot be shown.
fn runs<'a>(line: &'a Line, x: &Scale, y: &Scale) -> Vec<&'a [super::Point]> {
    line.points.split(|p| !x.shows(p.x) || !y.shows(p.y)).filter(|run| !run.is_empty()).collect()
}

fn rule(from: [f64; 2], to: [f64; 2]) -> Shape {
    Shape::line([from, to]).stroke(Ink::new(0xdddddd), 0.8)
}

/// A number with four digits.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !(1e-3..1e5).contains(&size) => format!("{value:.2e}"),
        size => format!("{value:.*}", (3.0 - size.log10().floor()).clamp(0.0, 6.0) as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::{short, spread};

    #[test]
    fn names_stay_apart_and_inside() {
        assert_eq!(spread(&[10.0, 11.0, 50.0], 5.0, 0.0, 100.0), [10.0, 15.0, 50.0]);
        assert_eq!(spread(&[98.0, 99.0, 100.0], 5.0, 0.0, 100.0), [90.0, 95.0, 100.0]);
    }

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 97.354, 0.5, 1234.6, 1.2345e-5, 123456.0].map(short);
        assert_eq!(texts, ["0", "97.35", "0.5000", "1235", "1.23e-5", "1.23e5"]);
    }
}
