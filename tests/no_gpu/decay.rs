//! Which tensors of a network are excluded from weight decay.

use velograd::data::Image;
use velograd::models::resnet::{self, Stem, resnet18};
use velograd::ops::{self, Augment, Normalize};
use velograd::program::Tape;
use velograd::program::params::{Layout, NoDecay};
use velograd::program::target::Target;

fn layout(no_decay: &str) -> Layout {
    let mut t = Tape::new(&Target::portable(), true);
    t.no_decay = no_decay.parse::<NoDecay>().unwrap();
    let draws = ops::draw(&mut t, 4, Image::CIFAR, Augment::NONE);
    let images = ops::augment(&mut t, 4, Image::CIFAR, draws, Augment::NONE, Normalize::HALF);
    resnet18(&mut t, images, &resnet::config(Stem::Imagenet, 8, 10));
    t.finish().layout
}

/// The names of the excluded tensors, as in torchvision's ResNet-18.
fn left_out(no_decay: &str) -> Vec<String> {
    let mut names: Vec<_> = layout(no_decay).params.into_iter().filter(|s| !s.decays).map(|s| s.name).collect();
    names.sort();
    names
}

#[test]
fn tensors_of_resnet18_that_decay_leaves_out() {
    let blocks = (1..=4).flat_map(|stage| (0..2).map(move |block| format!("layer{stage}.{block}")));
    let mut norms: Vec<_> = blocks.flat_map(|block| [format!("{block}.bn1"), format!("{block}.bn2")]).collect();
    norms.extend(["bn1", "layer2.0.downsample.1", "layer3.0.downsample.1", "layer4.0.downsample.1"].map(str::to_owned));
    let mut norm: Vec<_> = norms.iter().flat_map(|name| [format!("{name}.bias"), format!("{name}.weight")]).collect();
    norm.sort();
    assert_eq!(norm.len(), 40);
    assert_eq!(left_out("norm"), norm);
    assert_eq!(left_out("bias"), ["fc.bias"]); // a ResNet's convolutions have no bias
    let mut both = [&["fc.bias".to_owned()][..], &norm].concat();
    both.sort();
    assert_eq!(left_out("norm,bias"), both);
    // With both words, exactly the tensors of one dimension are excluded.
    let vectors = layout("none").params.into_iter().filter(|s| s.shape.dims().len() == 1).count();
    assert_eq!(both.len(), vectors);
    assert!(left_out("none").is_empty());
}

/// The table has one number for each chunk of 1,024 floats that a tensor occupies at least in part.
#[test]
fn the_table_of_decays_follows_the_tensors() {
    let layout = layout("norm");
    let table = layout.decays();
    assert_eq!(table.len(), layout.param_floats() as usize / 1024);
    for segment in &layout.params {
        let (first, last) = (segment.offset / 1024, (segment.offset + segment.shape.stored() - 1) / 1024);
        let expected = if segment.name.contains("bn") || segment.name.contains("downsample.1") { 0.0 } else { 1.0 };
        let part = &table[first as usize..=last as usize];
        assert!(part.iter().all(|v| *v == expected), "{}: {part:?}", segment.name);
    }
}
