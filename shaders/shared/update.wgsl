// The optimizer's scalars for the update that really happens. The host counts ahead of the device: it does not know yet whether
// the last few updates were skipped.
#import step

fn scalars_of_update(skipped: u32) -> vec4<f32> { return step.rows[min(skipped - step.skipped_known, 7u)]; }

// The number t of that update, 1 for the first.
fn number_of_update(skipped: u32) -> u32 { return step.update - (skipped - step.skipped_known); }
