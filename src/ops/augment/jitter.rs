//! How strongly the colours of images are changed, and the text that says so.

use std::fmt;

/// Changes of brightness, contrast, saturation and hue, in an order that is drawn for each image: torchvision's `ColorJitter` on
/// float tensors. As text it is `jitter:BRIGHTNESS:CONTRAST:SATURATION:HUE`, where strengths of 0 at the end may be left out.
///
/// ```
/// use velograd::ops::Jitter;
/// let jitter = Jitter { brightness: 0.4, contrast: 0.4, ..Jitter::NONE };
/// assert_eq!(jitter.to_string(), "jitter:0.4:0.4");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter {
    /// Pixels are multiplied by a factor from `max(0, 1 - brightness)` to `1 + brightness`, drawn uniformly.
    pub brightness: f64,
    /// Pixels are blended with the mean of the grey image, of which they keep a share from `max(0, 1 - contrast)` to `1 + contrast`.
    pub contrast: f64,
    /// Pixels are blended with their grey values, in the same way.
    pub saturation: f64,
    /// The hue is shifted by a part of the colour circle from `-hue` to `hue`; at most 0.5.
    pub hue: f64,
}

/// The largest strength of brightness, contrast and saturation.
const MOST: f64 = 10.0;
/// The largest shift of the hue: half of the circle either way is all of it.
const MOST_HUE: f64 = 0.5;

impl Jitter {
    /// No change.
    pub const NONE: Self = Self { brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.0 };

    /// How it is written.
    pub(super) const FORM: &str = "jitter:BRIGHTNESS[:CONTRAST[:SATURATION[:HUE]]]";

    /// Reads strengths; an error says what they may be.
    pub(super) fn read(strengths: &[&str]) -> Result<Self, &'static str> {
        if strengths.is_empty() || strengths.len() > 4 {
            return Err("there are one to at most four strengths");
        }
        let mut read = [0.0; 4];
        let ranges = [
            (MOST, "BRIGHTNESS is from 0 to 10"),
            (MOST, "CONTRAST is from 0 to 10"),
            (MOST, "SATURATION is from 0 to 10"),
            (MOST_HUE, "HUE is from 0 to 0.5"),
        ];
        for ((strength, text), (most, why)) in read.iter_mut().zip(strengths).zip(ranges) {
            *strength = text.parse().ok().filter(|v| (0.0..=most).contains(v)).ok_or(why)?;
        }
        let [brightness, contrast, saturation, hue] = read.map(|strength| strength + 0.0); // -0 is 0
        let jitter = Self { brightness, contrast, saturation, hue };
        if jitter == Self::NONE { Err("at least one strength is above 0") } else { Ok(jitter) }
    }

    /// Brightness, contrast, saturation, hue.
    pub fn strengths(&self) -> [f64; 4] {
        [self.brightness, self.contrast, self.saturation, self.hue]
    }

    /// Which of the four change an image with so many channels: saturation and hue leave images in grey as they are.
    pub(super) fn changes(&self, channels: u32) -> [bool; 4] {
        let [brightness, contrast, saturation, hue] = self.strengths().map(|strength| strength > 0.0);
        let colour = channels == 3;
        [brightness, contrast, saturation && colour, hue && colour]
    }
}

impl fmt::Display for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strengths = self.strengths();
        let last = strengths.iter().rposition(|strength| *strength != 0.0).unwrap_or(0);
        f.write_str("jitter")?;
        strengths[..=last].iter().try_for_each(|strength| write!(f, ":{strength}"))
    }
}
