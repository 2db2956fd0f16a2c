//! What a picture consists of: shapes and texts from the back to the front, on white, in units of the drawing. A figure
//! is laid out as a drawing once, and painted as SVG and as PNG from the same one.

/// A picture of shapes and texts.
#[derive(Clone, Debug)]
pub struct Drawing {
    /// The description for screen readers.
    pub(super) name: String,
    /// Width and height.
    pub(super) size: [f64; 2],
    /// From the back to the front.
    pub(super) marks: Vec<Mark>,
}

/// A part of a drawing.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    Shape(Shape),
    Text(Text),
}

/// A colour, and how much of it covers what is below.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ink {
    pub(super) rgb: [u8; 3],
    pub(super) opacity: f64,
}

impl Ink {
    /// The opaque colour that CSS writes as `#rrggbb`.
    pub const fn new(rrggbb: u32) -> Self {
        let [_, r, g, b] = rrggbb.to_be_bytes();
        Self { rgb: [r, g, b], opacity: 1.0 }
    }

    /// The same colour with another opacity, between 0 and 1.
    pub const fn opacity(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stroke {
    pub ink: Ink,
    pub width: f64,
    /// Lengths of dash and gap in turn; empty for a solid line.
    pub dash: &'static [f64],
}

/// A line, an area or a circle. Nothing of it is seen until it has a fill or a stroke.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(super) outline: Outline,
    pub(super) fill: Option<Ink>,
    pub(super) stroke: Option<Stroke>,
    pub(super) tip: String,
}

#[derive(Clone, Debug)]
pub(super) enum Outline {
    Line(Vec<[f64; 2]>),
    Polygon(Vec<[f64; 2]>),
    Circle { centre: [f64; 2], radius: f64 },
}

impl Shape {
    fn new(outline: Outline) -> Self {
        Self { outline, fill: None, stroke: None, tip: String::new() }
    }

    /// A line through `points`.
    pub fn line(points: impl IntoIterator<Item = [f64; 2]>) -> Self {
        Self::new(Outline::Line(points.into_iter().collect()))
    }

    /// The area that the line through `points`, and from the last to the first, encloses.
    pub fn polygon(points: impl IntoIterator<Item = [f64; 2]>) -> Self {
        Self::new(Outline::Polygon(points.into_iter().collect()))
    }

    /// A rectangle by its upper left corner.
    pub fn rectangle([x, y]: [f64; 2], [width, height]: [f64; 2]) -> Self {
        Self::polygon([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
    }

    /// A circle.
    pub fn circle(centre: [f64; 2], radius: f64) -> Self {
        Self::new(Outline::Circle { centre, radius })
    }

    /// Fills it.
    pub fn fill(self, ink: Ink) -> Self {
        Self { fill: Some(ink), ..self }
    }

    /// Draws its line.
    pub fn stroke(self, ink: Ink, width: f64) -> Self {
        Self { stroke: Some(Stroke { ink, width, dash: &[] }), ..self }
    }

    /// Draws its line with dashes and gaps of these lengths; without lengths it is solid.
    pub fn dashed(self, ink: Ink, width: f64, dash: &'static [f64]) -> Self {
        Self { stroke: Some(Stroke { ink, width, dash }), ..self }
    }

    /// The tooltip, which an SVG shows and a PNG does not.
    pub fn tip(self, tip: impl Into<String>) -> Self {
        Self { tip: tip.into(), ..self }
    }
}

/// Which part of a text is at its position.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    /// The left end.
    Start,
    /// The middle.
    Middle,
    /// The right end.
    End,
}

/// A line of text.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(super) at: [f64; 2],
    pub(super) anchor: Anchor,
    pub(super) text: String,
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) upwards: bool,
}

impl Text {
    /// The size of text where none is given.
    pub const SIZE: f64 = 12.0;

    /// A text whose `anchor` is at `at`, on the base line.
    pub fn new(at: [f64; 2], anchor: Anchor, text: impl Into<String>) -> Self {
        Self { at, anchor, text: text.into(), size: Self::SIZE, bold: false, upwards: false }
    }

    /// Another size of the letters.
    pub fn size(self, size: f64) -> Self {
        Self { size, ..self }
    }

    /// Bold letters.
    pub fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    /// Written from the bottom up.
    pub fn upwards(self) -> Self {
        Self { upwards: true, ..self }
    }
}

/// The colour of text.
pub(super) const TEXT_INK: Ink = Ink::new(0x222222);

impl Drawing {
    /// White paper of this width and height.
    pub(crate) fn new(name: impl Into<String>, size: [f64; 2]) -> Self {
        Self { name: name.into(), size, marks: Vec::new() }
    }

    /// Adds a shape in front of all others.
    pub(crate) fn draw(&mut self, shape: Shape) {
        self.marks.push(Mark::Shape(shape));
    }

    /// Adds a text in front of all others.
    pub(crate) fn write(&mut self, text: Text) {
        self.marks.push(Mark::Text(text));
    }
}
