//! Recordings: networks and update rules as lists of dispatches, before there is a device, and the linking of their
//! shaders.
//!
//! Nothing here knows wgpu. A [`Tape`] records calls of kernels into a [`Recording`], which is plain data: it can be printed,
//! planned, validated and compared without a device, and run on one any number of times.

mod buffer;
pub mod params;
pub mod plan;
pub mod product;
mod recording;
pub mod shader;
pub mod step;
mod tape;
pub mod target;

pub use buffer::{Buffer, BufferKind, Cleared, Filled, Input, Kept, Life, Name};
pub use recording::{Call, Dtype, Recording, Size, Slot, Tensor, TensorInfo};
pub use tape::{CallBuilder, GradNorm, MAX_GROUPS, Param, Tape};
