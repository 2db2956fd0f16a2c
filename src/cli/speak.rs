//! Rewords the library's errors for the command line: the library speaks of settings, which are flags here.

use crate::error::Error;

/// Replaces `'batch_size'` in an error by `--batch-size`, if that is one of `flags` (long names, without `--`).
pub fn in_flags(error: Error, flags: &[String]) -> Error {
    error.map_words(|text| flagged(&text, flags))
}

/// Replaces settings in single quotes by flags.
pub fn flagged(text: &str, flags: &[String]) -> String {
    let mut spoken = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\'') {
        spoken += before;
        let end = after.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(after.len());
        let flag = after[..end].replace('_', "-");
        if after[end..].starts_with('\'') && flags.contains(&flag) {
            spoken += "--";
            spoken += &flag;
            rest = &after[end + 1..];
        } else {
            spoken.push('\'');
            rest = after;
        }
    }
    spoken + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_become_flags() {
        let flags = ["batch-size", "width"].map(str::to_owned);
        for (text, spoken) in [
            ("'batch_size' is 0", "--batch-size is 0"),
            ("a smaller 'batch_size' or 'width' needs less", "a smaller --batch-size or --width needs less"),
            ("the device's 'width', or the driver's", "the device's --width, or the driver's"),
            ("no model is called `width`", "no model is called `width`"),
            ("'warmup' is no flag of this command, 'width", "'warmup' is no flag of this command, 'width"),
            ("''", "''"),
        ] {
            assert_eq!(flagged(text, &flags), spoken);
        }
    }
}
