//! Every integration test, in one binary that opens the device once.

// Tests of signals and of limits on memory are for Unix or for Linux alone, and what they use is idle elsewhere.
#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]

/// The network of airbench94 and its parts.
mod airbench;

/// AMD's compiler as a judge of every kernel.
#[cfg(target_os = "linux")]
mod amd;

/// Augmentation against torchvision, and its flag.
mod augment;

/// The documentation: its links, its commands, its reference.
mod book;

/// The program: the files that it writes, and its errors for bad input.
mod cli;

/// Gradient clipping.
mod clipping;

/// Experiments: several runs in one folder, and rules without a network.
mod experiments;

/// Masks of dropout.
mod dropout;

/// Where flags come from, and the errors for wrong ones.
mod flags;

/// Fetching data sets.
mod fetch;

/// The program in a temporary folder.
mod folder;

/// Opens files of values that were computed elsewhere.
mod golden_files;

/// Kernels and the whole network against the golden files.
mod golden_gpu;

/// Faults of the device, and devices that compute wrongly.
mod faults;

/// The LSTM: its layer, its columns, its state.
mod lstm;

/// Ranks that are processes.
#[cfg(all(feature = "mpi", target_os = "linux"))]
mod mpi;

/// mixup against torchvision and PyTorch, and its flag.
mod mixup;

/// Every network against PyTorch.
mod networks;

/// Networks of every kind through the program.
mod kinds_of_networks;

/// Tests without a device: references, shaders as text, planning.
mod no_gpu {
    /// Data sets, readers, order.
    mod data;

    /// CIFAR-100.
    mod cifar100;

    /// Pictures in folders.
    pub mod folder_of_images;

    /// Random parts of pictures in folders.
    mod parts;

    /// Networks of every model, for images and with settings at the edges of what is allowed.
    mod any_shape;

    /// IDX files.
    mod idx;

    /// Which tensors are excluded from weight decay.
    mod decay;

    /// Drawn digits.
    mod digits;

    /// Where CIFAR-10 may be, and what else may be there.
    mod finding;

    /// Files that are damaged, forged or endless.
    mod hostile;

    /// Pictures and IDX files that are damaged, forged or endless.
    mod hostile_images;

    /// Which build this is.
    mod identity;

    /// How far a linear model comes.
    mod linear;

    /// The rooms of the sources, and what they may import from each other.
    mod rooms;

    /// Rules in files: what is read, and what is refused.
    mod rules;

    /// Conventions of the sources.
    pub mod sources;

    /// Gradients of the references against differences of their values.
    mod finite_difference;

    /// References against the golden files.
    mod golden_reference;

    /// References of the rules that the golden files lack, against other implementations.
    pub mod rule_values;

    /// Files of weights: what is read, converted, and refused.
    mod pretrained;

    /// Reading samples that are blocks of tokens.
    mod blocks;

    /// Text.
    mod text;

    /// WikiText's archive.
    mod text_archive;

    /// Files of tokens.
    mod token_files;

    /// Which set a path is.
    mod recognized;

    /// The language of known entropy.
    mod grammar;

    /// Which tensors share a buffer.
    mod plan;

    /// Every shader in every form that is ever recorded, in every back end.
    pub mod shaders;

    /// Statistics against SciPy's.
    mod stats;
}

/// Many runs: one by one, several at a time, on a cluster.
#[cfg(unix)]
mod many;

/// Masked language modelling.
mod masked;

/// Mixed precision: rounding, memory, the loss scale.
mod mixed;

/// The normalization of images, and which data set weights were trained on.
mod normalize;

/// Muon's properties.
mod muon;

/// Networks as ONNX models, and logits as files.
mod onnx;

/// Every optimizer against its f64 reference and its golden traces.
mod optimizers;

/// Every kernel against its f64 reference, and that a wrong one would be noticed.
mod ops;

/// Classes of pictures, and continued text.
mod predict;

/// Times of dispatches, and the ceilings of a device.
mod profile;

/// What a user sees of runs: lists, pages, progress.
mod reports;

/// Several ranks, and one device that does all their batches.
mod ranks;

/// The recipes that come with the program.
mod recipes;

/// Images that do not fill an update.
mod remainder;

/// The page of a comparison, in a browser.
mod report;

/// A run that is interrupted anywhere and continued ends with the same bits as one that is not.
mod resume;

/// Rules in files: trained, resumed, compared.
mod rules;

/// Networks and data sets of any size that the flags allow.
mod sizes;

/// Memory, file handles and time over many updates.
mod soak;

/// Sharing buffers between activations changes no bit.
mod sharing;

/// The device, or the reason why a test is skipped.
mod support;

/// Samples that are blocks of tokens.
mod tokens;

/// The whole trainer.
mod training;

/// Choosing the form of a matrix product.
mod tune;

/// The page of a run that is going on.
mod watching;
