//! The SVG of a figure.

use std::fmt::Write as _;

use super::{Content, Figure, Line, Panel, Row, axis::Scale};

/// The colours of Okabe and Ito without yellow, which is hard to see on white.
const COLOURS: [&str; 7] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];

/// The dash pattern of each round of colours.
const DASHES: [&str; 3] = ["", "7 3", "2 3"];

/// Sizes in units of the drawing.
const TEXT: f64 = 12.0;
const PLOT_WIDTH: f64 = 330.0;
const PLOT_HEIGHT: f64 = 240.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 50.0;
const ROW: f64 = 26.0;
const GAP: f64 = 14.0;

/// The approximate width of a text in Noto Sans.
fn width(text: &str) -> f64 {
    0.57 * TEXT * text.chars().count() as f64
}

/// Escapes a text for XML and HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c if c.is_control() && c != '\n' => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

fn colour(nth: usize) -> &'static str {
    COLOURS[nth % COLOURS.len()]
}

fn dash(nth: usize) -> String {
    match DASHES[nth / COLOURS.len() % DASHES.len()] {
        "" => String::new(),
        dash => format!(" stroke-dasharray=\"{dash}\""),
    }
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
                let height = PLOT_HEIGHT.max(lines.len() as f64 * (TEXT + 3.0));
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
}

pub(super) fn figure(figure: &Figure) -> String {
    let spaces: Vec<Space> = figure.panels.iter().map(Space::of).collect();
    let columns = figure.columns.max(1);
    let column_width = |c: usize| spaces.iter().skip(c).step_by(columns).map(Space::width).fold(0.0, f64::max);
    let row_height = |row: &[Space]| row.iter().map(Space::full_height).fold(0.0, f64::max);
    let widths: Vec<f64> = (0..columns.min(spaces.len())).map(column_width).collect();
    let heights: Vec<f64> = spaces.chunks(columns).map(row_height).collect();
    let head = if figure.title.is_empty() { 0.0 } else { 34.0 };
    let total = (widths.iter().map(|w| w + GAP).sum::<f64>() + GAP, head + heights.iter().sum::<f64>() + GAP);

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w:.0} {h:.0}\" width=\"{w:.0}\" height=\"{h:.0}\" role=\"img\" \
         font-family=\"'Noto Sans', Helvetica, Arial, sans-serif\" font-size=\"{TEXT}\" fill=\"#222\">\n<title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
        escape(&name(figure)),
        w = total.0,
        h = total.1,
    );
    if head > 0.0 {
        let _ = writeln!(
            svg,
            "<text x=\"{GAP}\" y=\"24\" font-size=\"15\" font-weight=\"bold\">{}</text>",
            escape(&figure.title)
        );
    }
    for (nth, (panel, space)) in figure.panels.iter().zip(&spaces).enumerate() {
        let (row, column) = (nth / columns, nth % columns);
        let x = GAP + widths[..column].iter().map(|w| w + GAP).sum::<f64>();
        let y = head + heights[..row].iter().sum::<f64>();
        let _ = writeln!(svg, "<g transform=\"translate({x:.1} {y:.1})\">");
        draw_panel(&mut svg, panel, space);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

/// The description of the figure for screen readers.
fn name(figure: &Figure) -> String {
    if !figure.title.is_empty() {
        return figure.title.clone();
    }
    figure.panels.iter().map(|p| p.title.as_str()).collect::<Vec<_>>().join("; ")
}

fn draw_panel(svg: &mut String, panel: &Panel, space: &Space) {
    let (left, right) = (space.left, space.left + PLOT_WIDTH);
    let (top, bottom) = (TOP, TOP + space.height);
    let _ = writeln!(
        svg,
        "<text x=\"{left:.1}\" y=\"{:.1}\" font-weight=\"bold\">{}</text>",
        top - 12.0,
        escape(&panel.title)
    );
    match &panel.content {
        Content::Lines(lines) => {
            let xs = lines.iter().flat_map(|l| l.points.iter().map(|p| p.x).chain(l.crosses.iter().copied()));
            let ys = lines.iter().flat_map(|l| l.points.iter().flat_map(|p| [p.y, p.band.0, p.band.1]));
            let x = Scale::new(&panel.x, xs, left, right, 0.03);
            let y = Scale::new(&panel.y, ys, bottom, top, 0.05);
            for (value, text) in y.ticks(6, panel.y.whole) {
                let at = y.at(value);
                rule(svg, left, at, right, at);
                label(svg, left - 7.0, at + 4.0, "end", &text);
            }
            draw_x(svg, panel, &x, [left, right, top, bottom]);
            let (middle, turn) = ((top + bottom) / 2.0, 14.0);
            let _ = writeln!(
                svg,
                "<text transform=\"rotate(-90 {turn} {middle:.1})\" x=\"{turn}\" y=\"{middle:.1}\" text-anchor=\"middle\">{}</text>",
                escape(&panel.y.label)
            );
            draw_lines(svg, lines, &x, &y, [right, top, bottom]);
        }
        Content::Rows(rows) => {
            let values = rows.iter().flat_map(|r| {
                let (low, high) = r.interval.unwrap_or((r.value, r.value));
                r.each.iter().copied().chain([r.value, low, high])
            });
            let x = Scale::new(&panel.x, values, left, right, 0.05);
            draw_x(svg, panel, &x, [left, right, top, bottom]);
            rows.iter().enumerate().for_each(|(nth, row)| draw_row(svg, nth, row, &x, [left, right]));
        }
    }
}

/// The horizontal axis: rules, numbers and label.
fn draw_x(svg: &mut String, panel: &Panel, x: &Scale, [left, right, top, bottom]: [f64; 4]) {
    for (value, text) in x.ticks(6, panel.x.whole) {
        let at = x.at(value);
        rule(svg, at, top, at, bottom);
        label(svg, at, bottom + 17.0, "middle", &text);
    }
    let _ = writeln!(
        svg,
        "<path d=\"M{left:.1} {bottom:.1}H{right:.1}\" stroke=\"#666\" fill=\"none\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
        (left + right) / 2.0,
        bottom + 36.0,
        escape(&panel.x.label)
    );
}

fn draw_lines(svg: &mut String, lines: &[Line], x: &Scale, y: &Scale, [right, top, bottom]: [f64; 3]) {
    if !lines.iter().any(|l| l.points.iter().any(|p| x.shows(p.x) && y.shows(p.y))) {
        label(svg, right - PLOT_WIDTH / 2.0, (top + bottom) / 2.0, "middle", "no values");
        return;
    }
    // Bands are drawn first, so that they lie below all lines.
    for (nth, line) in lines.iter().enumerate() {
        for run in runs(line, x, y) {
            let edge = |p: &super::Point, side: f64| if y.shows(side) { y.at(side) } else { y.at(p.y) };
            let upper = run.iter().map(|p| (x.at(p.x), edge(p, p.band.1)));
            let lower = run.iter().rev().map(|p| (x.at(p.x), edge(p, p.band.0)));
            if run.len() > 1 && run.iter().any(|p| p.band.0 != p.band.1) {
                let _ = writeln!(
                    svg,
                    "<path d=\"{}Z\" fill=\"{}\" fill-opacity=\"0.16\"/>",
                    path(upper.chain(lower)),
                    colour(nth)
                );
            }
        }
    }
    for (nth, line) in lines.iter().enumerate() {
        for run in runs(line, x, y) {
            let places = run.iter().map(|p| (x.at(p.x), y.at(p.y)));
            let _ = writeln!(
                svg,
                "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"{}/>",
                path(places),
                colour(nth),
                dash(nth)
            );
            // Points are marked if there are few; many marks would hide the line.
            let radius = if line.points.len() <= 25 { 2.6 } else { 0.0 };
            for point in run.iter().filter(|_| radius > 0.0) {
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\" fill=\"{}\"><title>{}: {} at {}</title></circle>",
                    x.at(point.x),
                    y.at(point.y),
                    colour(nth),
                    escape(&line.label),
                    short(point.y),
                    short(point.x)
                );
            }
        }
        for cross in line.crosses.iter().filter(|c| x.shows(**c)) {
            // Crosses of several lines at one position are drawn side by side.
            let (at, low) = (x.at(*cross) + 7.0 * (nth % COLOURS.len()) as f64, bottom - 7.0);
            let _ = writeln!(
                svg,
                "<path d=\"M{:.1} {:.1}l6 6m0 -6l-6 6\" stroke=\"{}\" stroke-width=\"1.8\"><title>{}: diverged at {}</title></path>",
                at - 3.0,
                low - 3.0,
                colour(nth),
                escape(&line.label),
                short(*cross)
            );
        }
    }
    draw_names(svg, lines, x, y, [right, top, bottom]);
}

/// Each line's name beside its end, moved apart where ends are close.
fn draw_names(svg: &mut String, lines: &[Line], x: &Scale, y: &Scale, [right, top, bottom]: [f64; 3]) {
    let end =
        |line: &Line| line.points.iter().rev().find(|p| x.shows(p.x) && y.shows(p.y)).map(|p| (x.at(p.x), y.at(p.y)));
    let ends = lines.iter().enumerate().filter(|(_, line)| !line.label.is_empty()).map(|(nth, line)| (nth, end(line)));
    let mut names: Vec<(usize, Option<(f64, f64)>)> = ends.collect();
    names.sort_by(|a, b| {
        let height = |end: Option<(f64, f64)>| end.map_or(f64::INFINITY, |e| e.1);
        height(a.1).total_cmp(&height(b.1))
    });
    let wanted: Vec<f64> = names.iter().map(|(_, end)| end.map_or(bottom, |e| e.1)).collect();
    for ((nth, end), place) in names.iter().zip(spread(&wanted, TEXT + 2.0, top, bottom)) {
        let (start, colour) = (right + 6.0, colour(*nth));
        if let Some((end_x, end_y)) = end {
            let _ = writeln!(
                svg,
                "<path d=\"M{end_x:.1} {end_y:.1}L{start:.1} {place:.1}\" stroke=\"{colour}\" stroke-opacity=\"0.45\" stroke-width=\"0.8\"/>"
            );
        }
        let _ = writeln!(
            svg,
            "<path d=\"M{start:.1} {place:.1}h18\" stroke=\"{colour}\" stroke-width=\"2.4\"{}/>",
            dash(*nth)
        );
        label(svg, start + 23.0, place + 4.0, "start", &lines[*nth].label);
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

fn draw_row(svg: &mut String, nth: usize, row: &Row, x: &Scale, [left, right]: [f64; 2]) {
    let y = TOP + ROW * (nth as f64 + 0.5);
    label(svg, left - 9.0, y + 4.0, "end", &row.label);
    rule(svg, left, y, right, y);
    for value in row.each.iter().filter(|v| x.shows(**v)) {
        let _ =
            writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"none\" stroke=\"#888\"/>", x.at(*value));
    }
    if let Some((low, high)) = row.interval.filter(|(low, high)| x.shows(*low) && x.shows(*high)) {
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} {y:.1}H{:.1}\" stroke=\"{}\" stroke-width=\"2.4\"/>",
            x.at(low),
            x.at(high),
            COLOURS[0]
        );
    }
    if !x.shows(row.value) {
        label(svg, right + 9.0, y + 4.0, "start", "-");
        return;
    }
    let _ = writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"{}\"/>", x.at(row.value), COLOURS[0]);
    label(svg, right + 9.0, y + 4.0, "start", &short(row.value));
}

/// The stretches of a line between its gaps, which are points that cannot be shown.
fn runs<'a>(line: &'a Line, x: &Scale, y: &Scale) -> Vec<&'a [super::Point]> {
    line.points.split(|p| !x.shows(p.x) || !y.shows(p.y)).filter(|run| !run.is_empty()).collect()
}

fn path(places: impl Iterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (nth, (x, y)) in places.enumerate() {
        let _ = write!(path, "{}{x:.1} {y:.1}", if nth == 0 { 'M' } else { 'L' });
    }
    path
}

fn rule(svg: &mut String, x1: f64, y1: f64, x2: f64, y2: f64) {
    let _ = writeln!(svg, "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"#ddd\" stroke-width=\"0.8\"/>");
}

fn label(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escape(text));
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
