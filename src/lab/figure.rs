//! Figures: lines with bands, and rows of dots with intervals, as SVG and as PNG.
//!
//! A figure is a grid of panels. The colours are those of Okabe and Ito (*Color Universal Design*, 2008), which people
//! with any kind of colour vision can tell apart; a line has its name at its end instead of in a legend, and from the
//! eighth on it is dashed. The tooltip of a point gives its value. Values that are not finite, or not positive on a
//! logarithmic axis, leave gaps.

mod axis;
mod draw;
mod drawing;
mod png;
mod svg;

pub(crate) use axis::linear_ticks;
pub use drawing::Drawing;
pub(crate) use drawing::{Anchor, Ink, Shape, Text};
pub(crate) use svg::escape;

/// A picture with one or more panels.
#[derive(Clone, Debug, Default)]
pub struct Figure {
    /// The text above all panels; may be empty.
    pub title: String,
    /// From left to right, then from the top down.
    pub panels: Vec<Panel>,
    /// The number of panels in a row.
    pub columns: usize,
}

/// One pair of axes.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The text above the axes.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis; a panel of rows shows their names instead.
    pub y: Axis,
    /// What is drawn.
    pub content: Content,
}

/// An axis.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// What it measures, with the unit.
    pub label: String,
    /// Whether it is logarithmic.
    pub log: bool,
    /// Whether its values are whole numbers, as for epochs.
    pub whole: bool,
}

impl Axis {
    /// A linear axis.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// A linear axis of whole numbers.
    pub fn whole(label: impl Into<String>) -> Self {
        Self { label: label.into(), whole: true, ..Self::default() }
    }

    /// A logarithmic axis.
    pub fn log(label: impl Into<String>) -> Self {
        Self { label: label.into(), log: true, ..Self::default() }
    }
}

/// What a panel shows.
#[derive(Clone, Debug)]
pub enum Content {
    /// Curves of y over x.
    Lines(Vec<Line>),
    /// A row for each named value, from the top down.
    Rows(Vec<Row>),
}

/// A line.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// Its name; may be empty if it is the only line.
    pub label: String,
    /// From left to right.
    pub points: Vec<Point>,
    /// Values of x without a y, such as the epochs at which runs diverged: crosses at the lower edge.
    pub crosses: Vec<f64>,
}

/// A point of a line, and the band around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The value on the horizontal axis.
    pub x: f64,
    /// The value on the vertical axis.
    pub y: f64,
    /// The lower and upper edge of the band; both are `y` if there is none.
    pub band: (f64, f64),
}

impl Point {
    /// A point without a band.
    pub fn new(x: f64, y: f64) -> Self {
        Self { x, y, band: (y, y) }
    }
}

/// A named value with an interval and the values it came from.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub label: String,
    /// The value.
    pub value: f64,
    /// The interval's ends, if there is one.
    pub interval: Option<(f64, f64)>,
    /// The single values, which are drawn small.
    pub each: Vec<f64>,
}

impl Figure {
    /// The figure laid out, to be painted as SVG or PNG.
    pub fn drawing(&self) -> Drawing {
        draw::figure(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{Axis, Content, Figure, Line, Panel, Point, Row};

    fn figure(content: Content, log: bool) -> Figure {
        let axis = |label: &str| if log { Axis::log(label) } else { Axis::linear(label) };
        let panel = Panel { title: "a < b & \"c\"".into(), x: axis("x"), y: axis("y"), content };
        Figure { title: "t".into(), panels: vec![panel], columns: 1 }
    }

    fn line(label: &str, ys: &[f64]) -> Line {
        let points = (1..).zip(ys).map(|(x, &y)| Point { x: f64::from(x), y, band: (y - 1.0, y + 1.0) });
        Line { label: label.into(), points: points.collect(), crosses: vec![2.0] }
    }

    /// The picture is well-formed and can be drawn, whatever the numbers are.
    #[test]
    fn every_figure_is_a_picture() {
        let awkward = [
            vec![],
            vec![line("none", &[])],
            vec![line("one", &[3.0])],
            vec![line("same", &[2.0, 2.0, 2.0]), line("zero", &[0.0, 0.0])],
            vec![line("gap", &[1.0, f64::NAN, f64::INFINITY, 4.0]), line("far", &[1e-300, 1e300])],
            (0..20).map(|i| line(&format!("line {i}"), &[1.0, f64::from(i) * 1e-9 + 1.0])).collect(),
        ];
        for lines in awkward {
            for log in [false, true] {
                let drawing = figure(Content::Lines(lines.clone()), log).drawing();
                let svg = drawing.svg();
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
                assert!(svg.contains("a &lt; b &amp; &quot;c&quot;"));
                let png = drawing.png().unwrap();
                assert!(png.starts_with(b"\x89PNG"), "{svg}");
            }
        }
        let row = |value, interval| Row { label: "r".into(), value, interval, each: vec![1.0, f64::NAN] };
        let rows = vec![row(1.0, Some((0.5, 2.0))), row(f64::NAN, None)];
        assert!(figure(Content::Rows(rows), false).drawing().png().is_ok());
    }

    /// The end of a line and its label are at its last value: higher up for a larger one.
    #[test]
    fn larger_is_higher() {
        let svg =
            figure(Content::Lines(vec![line("low", &[1.0, 1.0]), line("high", &[1.0, 9.0])]), false).drawing().svg();
        let height = |label: &str| -> f64 {
            let at = svg.find(&format!(">{label}</text>")).unwrap();
            let tag = &svg[svg[..at].rfind("<text").unwrap()..at];
            tag.split("y=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
        };
        assert!(height("high") < height("low") - 100.0);
    }
}
