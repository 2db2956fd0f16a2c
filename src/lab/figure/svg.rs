//! Paints a drawing as SVG.

use std::fmt::{self, Write as _};

use super::drawing::{Anchor, Drawing, Ink, Mark, Outline, Shape, TEXT_INK, Text};

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

impl Drawing {
    /// The picture as a self-contained SVG document.
    pub fn svg(&self) -> String {
        let [width, height] = self.size;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" \
         role=\"img\" font-family=\"'Noto Sans', Helvetica, Arial, sans-serif\" font-size=\"{}\" fill=\"{}\" \
         stroke-linejoin=\"round\">\n\
         <title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
            Text::SIZE,
            Hex(TEXT_INK),
            escape(&self.name),
        );
        for mark in &self.marks {
            match mark {
                Mark::Shape(shape) => draw(&mut svg, shape),
                Mark::Text(text) => write(&mut svg, text),
            }
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn draw(svg: &mut String, shape: &Shape) {
    let tag = match &shape.outline {
        Outline::Line(points) => {
            let _ = write!(svg, "<path d=\"{}\"", Path(points));
            "path"
        }
        Outline::Polygon(points) => {
            let _ = write!(svg, "<path d=\"{}Z\"", Path(points));
            "path"
        }
        Outline::Circle { centre: [x, y], radius } => {
            let _ = write!(svg, "<circle cx=\"{}\" cy=\"{}\" r=\"{radius}\"", Number(*x), Number(*y));
            "circle"
        }
    };
    match shape.fill {
        None => svg.push_str(" fill=\"none\""),
        Some(ink) => inked(svg, "fill", ink),
    }
    if let Some(stroke) = shape.stroke {
        inked(svg, "stroke", stroke.ink);
        let _ = write!(svg, " stroke-width=\"{}\"", stroke.width);
        if !stroke.dash.is_empty() {
            let lengths = stroke.dash.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
            let _ = write!(svg, " stroke-dasharray=\"{lengths}\"");
        }
    }
    let _ = match shape.tip.as_str() {
        "" => writeln!(svg, "/>"),
        tip => writeln!(svg, "><title>{}</title></{tag}>", escape(tip)),
    };
}

fn inked(svg: &mut String, what: &str, ink: Ink) {
    let _ = write!(svg, " {what}=\"{}\"", Hex(ink));
    if ink.opacity < 1.0 {
        let _ = write!(svg, " {what}-opacity=\"{}\"", ink.opacity);
    }
}

fn write(svg: &mut String, text: &Text) {
    let [x, y] = text.at.map(Number);
    let _ = write!(svg, "<text x=\"{x}\" y=\"{y}\"");
    match text.anchor {
        Anchor::Start => {}
        Anchor::Middle => svg.push_str(" text-anchor=\"middle\""),
        Anchor::End => svg.push_str(" text-anchor=\"end\""),
    }
    if text.size != Text::SIZE {
        let _ = write!(svg, " font-size=\"{}\"", text.size);
    }
    if text.bold {
        svg.push_str(" font-weight=\"bold\"");
    }
    if text.upwards {
        let _ = write!(svg, " transform=\"rotate(-90 {x} {y})\"");
    }
    let _ = writeln!(svg, ">{}</text>", escape(&text.text));
}

/// A coordinate to a hundredth of a unit, which is finer than a pixel, without the zeros at its end.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Adding zero turns -0 into 0.
        write!(f, "{}", (self.0 * 100.0).round() / 100.0 + 0.0)
    }
}

struct Path<'a>(&'a [[f64; 2]]);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(nth, [x, y])| {
            write!(f, "{}{} {}", if nth == 0 { 'M' } else { 'L' }, Number(*x), Number(*y))
        })
    }
}

struct Hex(Ink);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b] = self.0.rgb;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}
