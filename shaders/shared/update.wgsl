// The optimizer's scalars of the update that really happens. The host counts updates ahead of the device: it has not
// heard yet of the last few that the device skipped.
#import step

fn scalars_of_update(skipped: u32) -> vec4<f32> { return step.rows[min(skipped - step.skipped_known, 7u)]; }

// t of that update, 1 for the first.
fn number_of_update(skipped: u32) -> u32 { return step.update - (skipped - step.skipped_known); }
