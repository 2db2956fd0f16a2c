//! Operations: each file holds an op's shapes, its dispatches and its gradient; the kernels are in `shaders/<op>/`.

mod augment;
mod batchnorm;
mod conv2d;
mod dropout;
mod elementwise;
mod linear;
mod loss;
mod pool;
mod scaler;

pub use augment::{IMAGE_BYTES, augment, draw};
pub(crate) use batchnorm::Rows;
pub use batchnorm::{BatchNorm, batch_norm};
pub use conv2d::{Conv2d, conv2d};
pub use dropout::dropout;
pub use elementwise::{add_relu, relu};
pub use linear::linear;
pub use loss::cross_entropy;
pub use pool::{global_avg_pool, max_pool2d};
pub use scaler::{FIRST_SCALE, SCALER, adjust_scale};
