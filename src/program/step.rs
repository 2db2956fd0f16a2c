//! What the host tells the device before a submission, and what the device tells the host after it.

/// Bytes of the `Step` uniform.
pub const STEP_BYTES: u64 = 160;

/// What changes from one submission to the next; the WGSL twin is `shaders/shared/step.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Step {
    /// Learning rate.
    pub lr: f32,
    /// The factor on the gradient of each target's loss: 1 / (targets of the effective batch) for the gradient of their
    /// mean. The loss scale of mixed precision is not part of it; the device keeps that.
    pub loss_scale: f32,
    /// The run's seed, folded to 32 bits.
    pub seed: u32,
    /// The epoch: augmentation and dropout draw from (seed, epoch, sample).
    pub epoch: u32,
    /// The number of skipped updates that the host knows of.
    pub skipped_known: u32,
    /// The number of this update, counted from 1, provided that the host knows of every skip.
    pub update: u32,
    /// If n > 0, running statistics become the mean over n batches, of which this is the n-th; if 0, they move by their
    /// momentum.
    pub averaged: u32,
    /// 1 / (targets whose losses the report has summed up by the time of the update).
    pub loss_mean: f32,
    /// The optimizer's scalars for the updates t, t-1, ..., t-7, a row each.
    pub rows: [[f32; 4]; 8],
}

const _: () = assert!(size_of::<Step>() as u64 == STEP_BYTES);

impl Step {
    /// The run's seed as kernels take it: the exclusive or of the two halves of 64 bits.
    pub fn seed_of(seed: u64) -> u32 {
        (seed ^ (seed >> 32)) as u32
    }
}

/// Bytes of a [`Report`].
pub const REPORT_BYTES: u64 = 40;

/// What the device tells the host after a submission; the WGSL twin is `shaders/shared/report.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Report {
    /// The sum of the losses of the update's targets so far: one for an image, several for a block of tokens.
    pub loss: f32,
    /// Targets of the update so far that were predicted correctly.
    pub hits: u32,
    /// Targets of the update so far.
    pub targets: u32,
    /// The number of gradient elements that were clipped by value, plus one if the norm was clipped: 0 if clipping left
    /// the gradient as it was.
    pub clipped: u32,
    /// Targets of the update so far that were among the five likeliest classes: fewer than five had a larger logit, so that of equal
    /// ones the target's counts first.
    pub top: u32,
    /// Updates skipped since the run began.
    pub skipped: u32,
    /// 1 if this update was skipped.
    pub skip: u32,
    /// The loss scale with which the update's gradient was computed; 0 in f32, which has none.
    pub scale: f32,
    /// The 2-norm of the gradient over all parameters, after clipping by value and before clipping by norm.
    pub grad_norm: f32,
    /// The norm after clipping by norm, if there is any: that of the gradient that the rule sees.
    pub bounded_norm: f32,
}

const _: () = assert!(size_of::<Report>() as u64 == REPORT_BYTES);
