//! Every integration test, in one binary that opens the device once.

/// The network of airbench94 and its parts.
mod airbench;

/// The program: what it writes, and what it says of bad input.
mod cli;

/// Bounds of the gradient.
mod clipping;

/// Experiments: several runs in one folder, and the rules alone.
mod experiments;

/// What dropout drops.
mod dropout;

/// Where flags come from, and what is said of wrong ones.
mod flags;

/// The program in a folder of its own.
mod folder;

/// Opens files of values that were computed elsewhere.
mod golden_files;

/// Kernels and the whole network against the golden files.
mod golden_gpu;

/// Faults of the device: what is said, what was running, and that a wrong one is refused.
mod faults;

/// What needs no device: references, shaders as text, planning.
mod no_gpu {
    /// Data sets, readers, order.
    mod data;

    /// Which tensors weight decay leaves out.
    mod decay;

    /// Where CIFAR-10 may lie, and what else may lie there.
    mod finding;

    /// Files that are damaged, forged or endless.
    mod hostile;

    /// Which build this is.
    mod identity;
    /// The rooms of the sources, and what they may take from each other.
    mod rooms;

    /// Rules as files: what is read, and what is refused.
    mod rules;

    /// What the sources keep to.
    mod sources;

    /// Gradients of the references against differences of their values.
    mod finite_difference;

    /// References against the golden files.
    mod golden_reference;

    /// References of the rules that the golden files lack, against the code that others use.
    pub mod rule_values;

    /// Files of weights: what is taken, made right, and refused.
    mod pretrained;

    /// Which tensors share a buffer.
    mod plan;

    /// Every shader in every form that is ever recorded, through every back end.
    mod shaders;

    /// Statistics against SciPy's.
    mod stats;
}

/// Mixed precision: rounding, memory, the scale of the loss.
mod mixed;

/// What images are normalized by, and which images weights are of.
mod normalize;

/// What holds of Muon whatever the numbers.
mod muon;

/// Every optimizer against its f64 reference and its golden traces.
mod optimizers;

/// Every kernel against its f64 value, and that a wrong one would be noticed.
mod ops;

/// Times of dispatches, and what a device can do at most.
mod profile;

/// What one sees of runs: lists, pages, progress.
mod reports;

/// The recipes that come with the program.
mod recipes;

/// What becomes of images that do not fill an update.
mod remainder;

/// The page of a comparison, in a browser.
mod report;

/// A run that is interrupted anywhere and continued ends with the same bits as one that is not.
mod resume;

/// Rules as files: trained, resumed, compared.
mod rules;

/// Networks and data sets of any size that the flags allow.
mod sizes;

/// Memory, file handles and time over many updates.
mod soak;

/// Sharing buffers between activations changes no bit.
mod sharing;

/// The device, or the reason why a test is skipped.
mod support;

/// The whole trainer.
mod training;

/// Choosing the form of a matrix product.
mod tune;
