//! The browser's device.

use serde_json::{Value, json};
use velograd::{
    Gpu,
    check::selftest::{self, Depth, Row},
    device::{DeviceKind, Opening, adapters, choose},
    error::Error,
};
use wasm_bindgen::prelude::*;

use crate::{Result, thrown};

/// An open device.
#[wasm_bindgen]
pub struct Device {
    pub(crate) gpu: Gpu,
}

#[wasm_bindgen]
impl Device {
    /// Opens the adapter that the browser prefers; `software` says that no GPU is behind it, which wgpu is not told.
    pub async fn open(software: bool) -> Result<Self> {
        let mut adapters = adapters(false).await;
        let index = choose(&adapters, None).map_err(|_| {
            let hint = "use a browser with WebGPU, and turn on hardware acceleration in its settings";
            thrown(Error::device("this browser offers no graphics adapter to WebGPU", hint))
        })?;
        if software {
            adapters[index].info.kind = DeviceKind::Software;
        }
        let gpu =
            Gpu::open(&adapters[index], Opening { portable: true, ..Opening::default() }).await.map_err(thrown)?;
        Ok(Self { gpu })
    }

    /// Compares kernels with their f64 references: every kernel at a size or two or, with `full`, all cases of the table. Calls
    /// `progress` with the numbers of cases that are done and of all, and returns a row for each result.
    pub async fn selftest(&self, full: bool, progress: js_sys::Function) -> Result<String> {
        let depth = if full { Depth::Full } else { Depth::Short };
        let mut report = |done: usize, all: usize| {
            // A page that does not listen any more changes nothing.
            let _ = progress.call2(&JsValue::NULL, &(done as u32).into(), &(all as u32).into());
        };
        let rows = selftest::run(&self.gpu, depth, &mut report).await.map_err(thrown)?;
        Ok(Value::from_iter(rows.iter().map(row)).to_string())
    }
}

fn row(row: &Row) -> Value {
    let Row { kernel, form, case, worst, bound, passed } = row;
    // JSON has no infinity, which a NaN among the results counts as.
    json!({ "kernel": kernel, "form": form, "case": case, "worst": worst.min(f64::MAX), "bound": bound, "passed": passed })
}
