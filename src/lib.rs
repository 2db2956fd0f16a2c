//! velograd trains convolutional networks. Every operation of a training step, from the augmentation of an image to the optimizer, is
//! a compute shader in WGSL that runs through wgpu, so that one program computes the same network on Vulkan, Metal and DX12 GPUs, on
//! a CPU behind Mesa's lavapipe, and in a browser.
//!
//! # How it works
//!
//! A network is an ordinary function that takes a [`program::Tape`] and calls operations on tensors:
//! `conv2d(t, x, ...)`. The tape records once which kernels have to run, those of the backward pass included. A plan,
//! computed from the recording, says which tensors may share memory, and [`device::runtime::Runtime`] turns both into
//! pipelines and buffers; everything that can go wrong with shapes, shaders or memory goes wrong there, before the
//! first step. A step then writes a batch into a buffer and submits the recorded dispatches again. Only a report of a
//! few bytes is read back, and the [`Trainer`] reads it a few steps later, so that the device never waits for the host.
//!
//! Update rules are recorded the same way. Most of them are a single WGSL file with their settings at its beginning,
//! and a file of your own trains as well as a built-in one.
//!
//! Numbers are checked: each kernel has a naive reference in f64, and [`check::selftest`] compares the two on the device at hand. Sums
//! have a fixed order, so the same seed on the same device gives the same bits.
//!
//! # Quick start
//!
//! This trains a small ResNet on images of shapes that the program draws itself. Any wgpu device will do, a CPU
//! included.
//!
//! ```
//! # #[cfg(feature = "host")]
//! fn main() -> velograd::Result<()> {
//!     use velograd::{Inline, Options, Shapes10, Sizes, Trainer, Weights, models::resnet::{self, Stem}};
//!     let gpu = velograd::host::device::open(None)?;
//!     let images = Shapes10::new(0, Sizes { train: 256, test: 64 })?;
//!     let config = resnet::config(Stem::Imagenet, 8, 10);
//!     let (optimizer, epochs) = ("adamw".into(), 3);
//!     let options = Options { config, optimizer, epochs, batch: 32, ..Options::default() };
//!     let source = std::sync::Arc::new(Inline(std::sync::Arc::new(images)));
//!     let first = |layout: &_| Ok(Weights::init(layout, options.seed));
//!     pollster::block_on(async {
//!         let mut trainer = Trainer::new(&gpu, &gpu.target, source, options.clone(), first).await?;
//!         let epochs = trainer.run(&mut ()).await?;
//!         epochs.iter().for_each(|row| println!("loss {:.3}", row.train_loss));
//!         assert!(epochs[2].train_loss < epochs[0].train_loss);
//!         Ok(())
//!     })
//! }
//! # #[cfg(not(feature = "host"))]
//! # fn main() {}
//! ```
//!
//! # The rooms
//!
//! Each module may use the modules above it in this table and none below it; a test reads the imports to make sure. The
//! core needs no operating system: it reads no file, starts no thread, and waits for the device in one file,
//! asynchronously. The only clock that it uses is one that browsers have too.
//!
//! | module | what it is about | feature |
//! |---|---|---|
//! | [`program`] | recordings: tapes, tensors, buffers and their kinds, plans, the linking of shaders | |
//! | [`data`] | images and their order | |
//! | [`device`] | a device of wgpu: pipelines, buffers, submissions, and the one place that waits | |
//! | [`ops`], [`models`], [`optim`] | recordings of layers with their gradients, of networks, of update rules | |
//! | [`training`] | the network on a device, the training loop, evaluation, schedules | |
//! | [`check`] | every operation and rule in naive f64, and the comparison with it | |
//! | [`host`] | files and threads: data sets, checkpoints, run folders, signals | `host` |
//! | [`lab`] | experiments, statistics, figures, profiles | `lab` |
//! | [`cli`] | the command line | `cli`, on by default |
//!
//! [`error`], [`random`], [`settings`] and [`parallel`] serve all of them.

pub mod check;
#[cfg(feature = "cli")]
pub mod cli;
pub mod data;
pub mod device;
pub mod error;
#[cfg(feature = "host")]
pub mod host;
#[cfg(feature = "lab")]
pub mod lab;
pub mod models;
pub mod ops;
pub mod optim;
pub mod parallel;
pub mod program;
pub mod random;
pub mod settings;
pub mod training;

pub use data::{Dataset, Digits28, Inline, Shapes10, Sizes};
pub use device::Gpu;
pub use error::{Error, Result};
pub use models::Config;
pub use program::Tape;
pub use training::{Options, Trainer, Watch, network::Network, weights::Weights};
