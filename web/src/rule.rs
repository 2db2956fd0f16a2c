//! Checks a rule while it is typed.

use serde_json::json;
use velograd::{Error, optim::Rule};
use wasm_bindgen::prelude::*;

use crate::{fault, tables};

/// The settings of a rule, or what is wrong with it and where.
#[wasm_bindgen]
pub fn check_rule(name: &str, text: &str) -> String {
    let file = format!("{name}.wgsl");
    match Rule::parse(name, &file, text) {
        Ok(rule) => json!({ "source": rule.source, "settings": tables::settings(&rule.settings) }),
        Err(error) => located(&file, &error),
    }
    .to_string()
}

/// An error with line and column, if its message begins with the place: `mine.wgsl:3:7: ...`.
fn located(file: &str, error: &Error) -> serde_json::Value {
    let mut fault = fault(error);
    let message = fault["message"].as_str().unwrap_or_default().to_owned();
    let place = message.strip_prefix(file).and_then(|rest| rest.strip_prefix(':')).and_then(|rest| {
        let mut parts = rest.splitn(3, ':');
        let (line, column) = (parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?);
        // The editor shows the line itself.
        let text = parts.next()?.trim().split("\n").next()?.to_owned();
        Some((line, column, text))
    });
    if let Some((line, column, text)) = place {
        (fault["line"], fault["column"], fault["message"]) = (line.into(), column.into(), text.into());
    }
    json!({ "error": fault })
}
