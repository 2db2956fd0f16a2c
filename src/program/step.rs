//! What the host tells the device before a submission, and what the device tells the host after it.

/// Bytes of the `Step` uniform.
pub const STEP_BYTES: u64 = 160;

/// What changes from one submission to the next; the WGSL twin is `shaders/shared/step.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Step {
    /// Learning rate.
    pub lr: f32,
    /// What the gradient of each image's loss is multiplied by: 1 / images of the effective batch for their mean. The scale of
    /// mixed precision is the device's own.
    pub loss_scale: f32,
    /// The run's seed, folded to 32 bits.
    pub seed: u32,
    /// Augmentation and dropout draw from (seed, epoch, sample).
    pub epoch: u32,
    /// Skipped updates the host has heard of.
    pub skipped_known: u32,
    /// Number of this update, 1 for the first, if the host has heard of every skip.
    pub update: u32,
    /// n > 0: running statistics become the mean over n batches, this being the n-th; 0: they move by their momentum.
    pub averaged: u32,
    /// 1 / images whose losses the report sums up when the update comes.
    pub loss_mean: f32,
    /// The optimizer's scalars of updates t, t-1, ..., t-7.
    pub rows: [[f32; 4]; 8],
}

const _: () = assert!(size_of::<Step>() as u64 == STEP_BYTES);

impl Step {
    /// The run's seed as the kernels take it: both halves of 64 bits folded into 32.
    pub fn seed_of(seed: u64) -> u32 {
        (seed ^ (seed >> 32)) as u32
    }
}

/// Bytes of a [`Report`].
pub const REPORT_BYTES: u64 = 36;

/// What the device tells after a submission; the WGSL twin is `shaders/shared/report.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Report {
    /// Sum over the images of the update so far.
    pub loss: f32,
    /// Correctly classified images among them.
    pub hits: u32,
    /// Images of the update so far.
    pub images: u32,
    /// Elements of the gradient that were bounded by value, and one more if its norm was bounded: 0 where clipping left the
    /// gradient as it was.
    pub clipped: u32,
    /// Updates skipped since the run began.
    pub skipped: u32,
    /// 1 if this update was skipped.
    pub skip: u32,
    /// What the update's gradient was multiplied by while it was computed; 0 where that is nothing, in f32.
    pub scale: f32,
    /// 2-norm of the gradient over all parameters: after its elements were bounded by value, before its norm is bounded.
    pub grad_norm: f32,
    /// The norm after it was bounded too, where it is: that of the gradient that the rule sees.
    pub bounded_norm: f32,
}

const _: () = assert!(size_of::<Report>() as u64 == REPORT_BYTES);
