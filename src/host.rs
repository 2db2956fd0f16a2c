//! What a run has of its machine: files, threads, signals, the clock of the wall.

pub mod cache;
pub mod checkpoint;
pub mod data;
pub mod device;
pub mod environment;
pub mod file_type;
pub mod files;
pub mod huggingface;
pub mod identity;
pub mod loader;
pub mod onnx;
pub mod pretrained;
pub mod ranks;
pub mod rule_file;
pub mod run;
pub mod signals;
pub mod tensors;
pub mod threads;
pub mod tuning;
pub mod weights;
