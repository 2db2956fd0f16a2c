//! Renders SVG as PNG, the same on every machine because the font is compiled in.

use std::sync::{Arc, OnceLock};

use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::{Options, Tree, fontdb::Database},
};

use crate::error::{Error, Result};

/// Pixels of the picture per unit of the drawing.
const SCALE: f32 = 2.0;

/// Renders a figure's SVG as PNG, with two pixels to a unit.
///
/// # Errors
/// [`Error::Config`] if `svg` is not valid SVG, or is too large to draw.
pub fn to_png(svg: &str) -> Result<Vec<u8>> {
    static FONTS: OnceLock<Arc<Database>> = OnceLock::new();
    let fontdb = FONTS.get_or_init(|| {
        let mut fonts = Database::new();
        fonts.load_font_data(notosans::REGULAR_TTF.to_vec());
        fonts.load_font_data(notosans::BOLD_TTF.to_vec());
        Arc::new(fonts)
    });
    let wrong = |why: String| Error::config(format!("the figure cannot be drawn: {why}"), "");
    let options = Options { font_family: "Noto Sans".into(), fontdb: fontdb.clone(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|e| wrong(e.to_string()))?;
    let size = tree.size().to_int_size().scale_by(SCALE).ok_or_else(|| wrong("it has no size".into()))?;
    let mut pixels = Pixmap::new(size.width(), size.height()).ok_or_else(|| wrong("it is too large".into()))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|e| wrong(e.to_string()))
}
