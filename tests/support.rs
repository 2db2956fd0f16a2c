//! One device for all tests.

use std::sync::OnceLock;

use velograd::gpu::Gpu;

/// The device; where there is none a line says so and the test returns, unless VELOGRAD_REQUIRE_GPU=1.
pub fn gpu() -> Option<&'static Gpu> {
    static DEVICE: OnceLock<Result<Gpu, String>> = OnceLock::new();
    match DEVICE.get_or_init(|| Gpu::open(None).map_err(|fault| fault.to_string())) {
        Ok(gpu) => Some(gpu),
        Err(fault) => {
            let required = std::env::var("VELOGRAD_REQUIRE_GPU").is_ok_and(|value| value == "1");
            assert!(!required, "VELOGRAD_REQUIRE_GPU=1, and there is no adapter: {fault}");
            println!("skipped: no adapter: {fault}");
            None
        }
    }
}
