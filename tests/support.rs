//! One device for all tests.

use std::sync::OnceLock;

use velograd::gpu::{Gpu, adapters};

/// The device; where there is none a line says so and the test returns, unless VELOGRAD_REQUIRE_GPU=1.
pub fn gpu() -> Option<&'static Gpu> {
    static DEVICE: OnceLock<Option<Gpu>> = OnceLock::new();
    let open = || {
        let adapter = adapters().into_iter().next()?;
        Some(Gpu::open_adapter(&adapter).unwrap_or_else(|fault| panic!("{fault}")))
    };
    let device = DEVICE.get_or_init(open).as_ref();
    if device.is_none() {
        let required = std::env::var("VELOGRAD_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(!required, "VELOGRAD_REQUIRE_GPU=1, and there is no adapter");
        println!("skipped: no adapter");
    }
    device
}
