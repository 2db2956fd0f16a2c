// What changes from one submission to the next: one small uniform, written by the host.
struct Step {
    lr: f32,            // learning rate of this update
    loss_scale: f32,    // the factor on each target's gradient: 1 / targets of the effective batch; the device keeps the loss scale
    seed: u32,          // of the run; augmentation and dropout draw from (seed, epoch, sample)
    epoch: u32,
    skipped_known: u32, // skipped updates that the host knows of
    update: u32,        // t, provided that the host knows of every skip
    averaged: u32,      // n > 0: running statistics become the mean over n batches, of which this is the n-th
    loss_mean: f32,     // 1 / targets whose losses the report has summed up by the time of the update
    rows: array<vec4<f32>, 8>, // the optimizer's scalars for updates t, t-1, ..., t-7, computed by the host in f64
}
