//! velograd in a browser: what a page's worker calls. The page is in `web/page/`; `scripts/web.sh` builds both into one folder.
//!
//! Everything goes over the border as JSON, and every call that has to do with the device is a promise.

mod device;
mod drawn;
mod dropped;
mod lane;
mod race;
mod recipe;
mod rule;
mod tables;

use serde_json::{Value, json};
use velograd::Error;
use wasm_bindgen::prelude::*;

/// What the exported calls return.
type Result<T> = std::result::Result<T, JsValue>;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn error(text: &str);
}

/// Shows a panic, which is a fault of the program, with its place before the worker ends.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|info| error(&info.to_string())));
}

/// An error as JSON: its kind, its message and its hint.
fn fault(error: &Error) -> Value {
    let (kind, message, hint) = match error {
        Error::Config { message, hint, .. } => ("config", message.clone(), hint.clone()),
        Error::Device { message, hint } => ("device", message.clone(), hint.clone()),
        Error::Lost { message, hint } => ("lost", message.clone(), hint.clone()),
        Error::NotFinite { message, hint } => ("not finite", message.clone(), hint.clone()),
        Error::Data { path, expected, found, hint } => {
            let (place, hint) = (path.display().to_string(), hint.clone());
            let of = if place.is_empty() { String::new() } else { format!("{place}: ") };
            ("data", format!("{of}expected {expected}, found {found}."), hint)
        }
        other => ("data", other.to_string(), String::new()),
    };
    json!({ "kind": kind, "message": message, "hint": hint })
}

/// What a promise is rejected with.
fn thrown(error: Error) -> JsValue {
    fault(&error).to_string().into()
}

/// What a promise is rejected with where the page's JSON is at fault, as after a change of a link.
fn unreadable(error: serde_json::Error) -> JsValue {
    thrown(Error::config(format!("the recipe cannot be read: {error}"), "reset it, or open the link again"))
}
