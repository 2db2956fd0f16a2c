//! The smallest use of the library: record one dispatch of a shader, run it, and read the result back.
//!
//! ```text
//! cargo run --release --example hello_kernel
//! ```

use pollster::block_on;
use velograd::{device::runtime::Runtime, error::Result, program::Tape};

fn main() -> Result<()> {
    let gpu = velograd::host::device::open(None)?;

    // Record. Nothing runs yet, but shapes are checked. Shapes are [n, h, w, c]; channels are stored padded to four.
    let mut tape = Tape::new(&gpu.target, false);
    let (x, y) = (tape.tensor([2, 1, 1, 4]), tape.tensor([2, 1, 1, 4]));
    tape.keep(y);
    // The shader is shaders/elementwise/scale.wgsl; its bindings and `Sizes` are checked against the WGSL.
    let call = tape.call("elementwise/scale").constant("ACCUMULATE", false).size("len4", 2).size("factor", 0.5_f32);
    call.read(x).write(y).over(2);
    let recording = tape.finish();
    print!("{recording}");

    // Run.
    let runtime = block_on(Runtime::new(&gpu, &[recording], true))?;
    runtime.write(runtime.tensor(0, x), &[-1.0_f32, 2.0, -3.0, 4.0, 5.0, -6.0, 7.0, -8.0]);
    block_on(runtime.run(&[0]))?;
    let result: Vec<f32> = block_on(runtime.read(runtime.tensor(0, y), 8))?;
    println!("half of x on {}: {result:?}", gpu.info.name);
    assert_eq!(result, [-0.5, 1.0, -1.5, 2.0, 2.5, -3.0, 3.5, -4.0]);
    Ok(())
}
