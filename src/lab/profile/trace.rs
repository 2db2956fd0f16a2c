//! The timeline of an update in Chrome's trace format, which Perfetto (ui.perfetto.dev) and chrome://tracing show.

use serde_json::{Value, json};

use super::Profile;

/// Complete events ("X") in microseconds, one after the other: one row for the parts of the update, one for the
/// kernels.
pub fn chrome_trace(profile: &Profile, device: &str) -> Value {
    let name = |tid: u32, name: &str| json!({ "name": "thread_name", "ph": "M", "pid": 1, "tid": tid, "args": { "name": name } });
    let mut events = vec![
        json!({ "name": "process_name", "ph": "M", "pid": 1, "args": { "name": device } }),
        name(1, "parts"),
        name(2, "kernels"),
    ];
    let mut at = 0.0;
    let (mut part, mut since) = ("", 0.0);
    let span = |tid: u32, name: &str, category: &str, from: f64, to: f64, args: Value| json!({ "name": name, "cat": category, "ph": "X", "pid": 1, "tid": tid, "ts": from, "dur": to - from, "args": args });
    for event in &profile.events {
        if event.part != part {
            if !part.is_empty() {
                events.push(span(1, part, "part", since, at, json!({})));
            }
            (part, since) = (event.part, at);
        }
        let end = at + 1e6 * event.seconds;
        let floor = 1e6 * profile.ceilings.floor(event.bytes, event.flop);
        let args = json!({ "where": event.label, "form": event.form, "flop": event.flop, "bytes": event.bytes, "floor_us": floor });
        events.push(span(2, &event.kernel, event.part, at, end, args));
        at = end;
    }
    events.push(span(1, part, "part", since, at, json!({})));
    json!({ "traceEvents": events, "displayTimeUnit": "ms" })
}
