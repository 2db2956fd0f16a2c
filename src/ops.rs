//! Operations: each file holds an op's shapes, its dispatches and its backward pass; the kernels are in
//! `shaders/<op>/`.

mod activation;
mod attention;
mod augment;
mod batchnorm;
mod bias;
mod class_token;
mod conv2d;
mod cross;
mod dropout;
mod elementwise;
mod embedding;
mod exchange;
mod layernorm;
mod linear;
mod loss;
mod lstm;
mod mixup;
mod pack;
mod pool;
mod qk_norm;
mod reshape;
mod rope;
mod rows;
mod scaler;
mod sinusoids;
mod tokens;

pub use activation::Activation;
pub use attention::{Attention, attention};
pub use augment::{Augment, Crop, Flip, Jitter, Normalize, Padding, VIEWS, augment, average_views, draw};
pub use batchnorm::{BatchNorm, batch_norm};
pub(crate) use bias::rows as bias_rows;
pub use bias::{bias, bias_called};
pub use class_token::{class_token, first_place};
pub use conv2d::{Conv2d, conv2d, conv2d_of};
pub use cross::cross;
pub use dropout::dropout;
pub use elementwise::{activate, add, add_relu, relu, scale, widen};
pub use embedding::{add_first_row, add_positions, embedding};
pub use exchange::{add_share, move_running, sum_apart};
pub use layernorm::{LayerNorm, layer_norm, rms_norm};
pub use linear::{linear, linear_by, linear_of, linear_tied};
pub(crate) use loss::kernel as loss_kernel;
pub use loss::{MOST_CONFUSED, confuses, cross_entropy, cross_entropy_mixed};
pub use lstm::lstm;
pub use mixup::mixup;
pub use pack::pack;
pub use pool::{adaptive_avg_pool2d, global_avg_pool, max_pool2d};
pub use qk_norm::qk_norm;
pub use reshape::flatten;
pub use rope::rope;
#[cfg(feature = "host")]
pub(crate) use rope::table as rope_table;
pub(crate) use rows::Rows;
pub use scaler::{FIRST_SCALE, SCALER, adjust_scale};
pub use sinusoids::add_sinusoids;
#[cfg(feature = "host")]
pub(crate) use sinusoids::table as sinusoids_table;
pub use tokens::tokens;
