//! A training loop in user code: a custom network, drawn images, VeloGrad, and an evaluation.
//!
//! ```text
//! cargo run --release --example custom_loop
//! ```

use std::sync::Arc;

use pollster::block_on;
use velograd::{
    data::{Dataset, Inline, Shapes10, Sizes, Split, order},
    error::Result,
    host::loader::Loader,
    models::{Config, Model},
    ops::{Activation, BatchNorm, Conv2d, batch_norm, conv2d, global_avg_pool, linear},
    optim,
    program::{Tape, Tensor},
    settings::Setting,
    training::{
        evaluate::evaluate,
        network::{Done, Network, Place, Plans, Recipe},
        weights::Weights,
    },
};

const BATCH: u32 = 50;

/// Three convolutions of stride 2, each with batch norm and ReLU. The backward pass is recorded automatically.
fn three_layers(t: &mut Tape, images: Tensor, config: &Config) -> Tensor {
    let mut x = images;
    for layer in 0..3 {
        let outputs = config.settings.whole("width") << layer;
        x = t.scope(format!("conv{layer}"), |t| conv2d(t, x, Conv2d { outputs, kernel: 3, stride: 2, padding: 1 }));
        x = t.scope(format!("norm{layer}"), |t| batch_norm(t, x, BatchNorm::then(Activation::Relu)));
    }
    let x = global_avg_pool(t, x);
    t.scope("head", |t| linear(t, x, config.classes))
}

fn main() -> Result<()> {
    let gpu = velograd::host::device::open(None)?;
    let data: Arc<dyn Dataset> = Arc::new(Shapes10::new(0, Sizes { train: 2000, test: 500 })?);
    let model = Model {
        settings: || vec![Setting::whole("width", 16, 1, None, "the channels of the first layer")],
        ..Model::new("three_layers", three_layers)
    };
    let (spec, set) = (data.spec(), [("width".to_owned(), "16".to_owned())]);
    let plans = Plans {
        model: &model,
        config: model.config(spec.input, spec.classes.len() as u32, &set)?,
        recipe: Recipe::default(), // no augmentation, dropout, clipping
        target: gpu.target.clone(),
        train: vec![BATCH], // every batch size that will be used
        evaluate: vec![BATCH],
    };
    let (optimizer, _) = optim::build("velograd", &[])?;
    let mut network = block_on(Network::new(&gpu, &plans, Some(optimizer), |layout| Ok(Weights::init(layout, 0)), 0))?;

    let mut first = None;
    for epoch in 1..=4 {
        let (mut loss, mut images) = (0.0, 0);
        let mut note = |done: Vec<Done>| {
            for done in done {
                if let Done::Updated(report) = done {
                    loss += report.loss;
                    images += report.targets; // each image has one
                }
            }
        };
        let order = order(data.len(Split::Train), Some((0, u64::from(epoch))));
        for batch in Loader::new(data.clone(), Split::Train, order, BATCH as usize)? {
            // One batch is one update. Submitting it never waits: a few are under way while the next is prepared.
            note(block_on(network.make_room())?);
            network.train(&batch?, Place { first: true, last: true, images: BATCH, epoch, lr: 0.003 })?;
        }
        note(block_on(network.drain())?);
        let loss = loss / images as f32;
        let test =
            block_on(evaluate(&mut network, &Inline(data.clone()), &mut |_, _| ()))?.expect("there are test images");
        println!("epoch {epoch}: training loss {loss:.4}, test accuracy {:.1} %", test.accuracy);
        let first = *first.get_or_insert(loss);
        assert!(epoch == 1 || loss < first, "the loss does not fall");
    }
    Ok(())
}
