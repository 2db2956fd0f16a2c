//! Paints a drawing as PNG.
//!
//! Letters are outlines of a font that is compiled in, set one after the other by their widths: names and numbers in
//! Latin, Greek and Cyrillic letters need no more, and no machine's fonts make a difference.

use std::sync::OnceLock;

use tiny_skia::{
    Color, FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, PremultipliedColorU8, Stroke, StrokeDash, Transform,
};
use ttf_parser::{Face, GlyphId, OutlineBuilder};

use crate::{
    error::{Error, Result},
    lab::png::Png,
};

use super::drawing::{Anchor, Drawing, Ink, Mark, Outline, Shape, TEXT_INK, Text};

/// Pixels of the picture per unit of the drawing.
const SCALE: f32 = 2.0;

impl Drawing {
    /// The picture as PNG with two pixels to a unit, the same on every machine because the font is compiled in.
    ///
    /// # Errors
    /// [`Error::Config`] if it is too large to be painted.
    pub fn png(&self) -> Result<Vec<u8>> {
        let [width, height] = self.size.map(|side| (side.round() as f32 * SCALE) as u32);
        let too_large = || Error::config(format!("a figure of {width}x{height} pixels cannot be drawn"), "");
        let mut pixels = Pixmap::new(width, height).ok_or_else(too_large)?;
        pixels.fill(Color::WHITE);
        for mark in &self.marks {
            match mark {
                Mark::Shape(shape) => draw(&mut pixels, shape),
                Mark::Text(text) => write(&mut pixels, text),
            }
        }
        // On white paper every pixel is opaque.
        let rgb: Vec<u8> =
            pixels.pixels().iter().flat_map(|p: &PremultipliedColorU8| [p.red(), p.green(), p.blue()]).collect();
        Ok(Png::rgb(&rgb, [height, width]).bytes)
    }
}

fn draw(pixels: &mut Pixmap, shape: &Shape) {
    let path = match &shape.outline {
        Outline::Line(points) => polyline(points, false),
        Outline::Polygon(points) => polyline(points, true),
        Outline::Circle { centre: [x, y], radius } => PathBuilder::from_circle(*x as f32, *y as f32, *radius as f32),
    };
    // A line through fewer than two points has no path.
    let Some(path) = path else { return };
    let scale = Transform::from_scale(SCALE, SCALE);
    if let Some(ink) = shape.fill {
        pixels.fill_path(&path, &paint_of(ink), FillRule::Winding, scale, None);
    }
    if let Some(stroke) = shape.stroke {
        let dash = StrokeDash::new(stroke.dash.iter().map(|&length| length as f32).collect(), 0.0);
        let how = Stroke { width: stroke.width as f32, line_join: LineJoin::Round, dash, ..Stroke::default() };
        pixels.stroke_path(&path, &paint_of(stroke.ink), &how, scale, None);
    }
}

fn polyline(points: &[[f64; 2]], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (nth, &[x, y]) in points.iter().enumerate() {
        let (x, y) = (x as f32, y as f32);
        if nth == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
    }
    if closed {
        path.close();
    }
    path.finish()
}

fn paint_of(ink: Ink) -> Paint<'static> {
    let [r, g, b] = ink.rgb;
    let mut paint = Paint::default();
    paint.set_color_rgba8(r, g, b, (ink.opacity * 255.0).round() as u8);
    paint
}

fn write(pixels: &mut Pixmap, text: &Text) {
    let face = face(text.bold);
    let scale = text.size as f32 / f32::from(face.units_per_em());
    let mut letters = Letters { path: PathBuilder::new(), at: 0.0 };
    for letter in text.text.chars() {
        // What the font does not have is its first glyph, an empty box.
        let glyph = face.glyph_index(letter).unwrap_or(GlyphId(0));
        face.outline_glyph(glyph, &mut letters);
        letters.at += f32::from(face.glyph_hor_advance(glyph).unwrap_or(0));
    }
    let before = match text.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => letters.at / 2.0,
        Anchor::End => letters.at,
    };
    let Some(path) = letters.path.finish() else { return };
    let [x, y] = text.at.map(|v| v as f32);
    let turn = if text.upwards { -90.0 } else { 0.0 };
    // A font's y axis points up.
    let place = Transform::from_translate(-before, 0.0)
        .post_scale(scale, -scale)
        .post_concat(Transform::from_rotate(turn))
        .post_translate(x, y)
        .post_scale(SCALE, SCALE);
    pixels.fill_path(&path, &paint_of(TEXT_INK), FillRule::Winding, place, None);
}

fn face(bold: bool) -> &'static Face<'static> {
    static FACES: OnceLock<[Face<'static>; 2]> = OnceLock::new();
    let parse = |font| Face::parse(font, 0).expect("the font that is compiled in is valid");
    &FACES.get_or_init(|| [parse(notosans::REGULAR_TTF), parse(notosans::BOLD_TTF)])[usize::from(bold)]
}

/// Collects the outlines of letters, each moved to the right by `at` units of the font.
struct Letters {
    path: PathBuilder,
    at: f32,
}

impl OutlineBuilder for Letters {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.move_to(x + self.at, y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.path.line_to(x + self.at, y);
    }

    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.path.quad_to(x1 + self.at, y1, x + self.at, y);
    }

    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        self.path.cubic_to(x1 + self.at, y1, x2 + self.at, y2, x + self.at, y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
