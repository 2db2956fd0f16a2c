//! Recordings: networks and update rules as lists of dispatches, before there is a device, and the linking of their
//! shaders.
//!
//! Nothing here knows wgpu. A [`Tape`] records calls of kernels into a [`Recording`], which is plain data: it can be printed,
//! planned, validated and compared without a device, and run on one any number of times.

mod buffer;
mod graph;
mod op;
pub mod params;
pub mod plan;
pub mod product;
mod recording;
pub mod shader;
pub mod step;
mod tape;
pub mod target;
mod tensor;

pub use buffer::{Buffer, BufferKind, Cleared, Filled, Input, Kept, Life, Name};
pub use op::{Node, Op};
pub use recording::{Call, Recording, Size};
pub use tape::{Apart, CallBuilder, GradNorm, MAX_GROUPS, Param, Tape};
pub use tensor::{Dtype, Slot, Tensor, TensorInfo};
