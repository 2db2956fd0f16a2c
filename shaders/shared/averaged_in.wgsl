// A running statistic after a batch with this value of it.
fn averaged_in(running: vec4<f32>, momentum: f32, batch: vec4<f32>) -> vec4<f32> { return running + momentum * (batch - running); }
