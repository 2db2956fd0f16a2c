//! Softmax regression on pixels: how far a model comes that sees no shapes.

use velograd::data::{Dataset, Split, order};

/// Trains until the model hardly improves. Returns the percentage of training and of test images that it tells.
pub fn linear_model(set: &dyn Dataset) -> (f64, f64) {
    let (inputs, classes) = (set.spec().input.bytes(), set.spec().classes.len());
    let load = |split| -> Vec<(Vec<f32>, usize)> {
        let mut image = vec![0; inputs];
        (0..set.len(split))
            .map(|i| {
                let label = crate::support::read(set, split, i, &mut image).unwrap();
                (image.iter().map(|&v| f32::from(v) / 127.5 - 1.0).collect(), label as usize)
            })
            .collect()
    };
    let (train, test) = (load(Split::Train), load(Split::Test));
    let mut weight = vec![0.0_f32; classes * (inputs + 1)];
    let scores = |weight: &[f32], x: &[f32]| -> Vec<f32> {
        let row = |k: usize| &weight[k * (inputs + 1)..][..inputs + 1];
        (0..classes).map(|k| row(k)[inputs] + row(k).iter().zip(x).map(|(w, x)| w * x).sum::<f32>()).collect()
    };
    for epoch in 0..12 {
        let rate = 0.003 / (1.0 + epoch as f32);
        for &index in &order(train.len(), Some((0, epoch))) {
            let (x, label) = &train[index as usize];
            let mut p = scores(&weight, x);
            let largest = p.iter().copied().fold(f32::MIN, f32::max);
            p.iter_mut().for_each(|v| *v = (*v - largest).exp());
            let sum: f32 = p.iter().sum();
            for (k, p) in p.iter().enumerate() {
                let step = rate * (p / sum - f32::from(u8::from(k == *label)));
                let row = &mut weight[k * (inputs + 1)..][..inputs + 1];
                row[..inputs].iter_mut().zip(x).for_each(|(w, x)| *w -= step * x);
                row[inputs] -= step;
            }
        }
    }
    let right = |set: &[(Vec<f32>, usize)]| {
        let hits = set.iter().filter(|(x, label)| {
            let s = scores(&weight, x);
            (0..classes).all(|k| s[k] <= s[*label])
        });
        100.0 * hits.count() as f64 / set.len() as f64
    };
    let (seen, unseen) = (right(&train), right(&test));
    println!("softmax regression: {seen:.1} % of training, {unseen:.1} % of test images");
    (seen, unseen)
}
