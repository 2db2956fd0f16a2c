//! The forms of kernels that are judged, and their SPIR-V as wgpu hands it to a driver of Vulkan 1.3.

use std::collections::BTreeMap;

use naga::{back::spv, proc::BoundsCheckPolicy};
use velograd::{
    models::{self, Config},
    ops::Augment,
    optim,
    program::{
        Recording,
        product::{Choice, Gemm},
        shader::{Const, Spec, link},
        target::{Precision, Target},
    },
    training::network::{Plans, Recipe},
};

use crate::no_gpu::shaders;

type Set = &'static [(&'static str, &'static str)];

/// The networks whose kernels the table lists: a letter, the model and what is set of it, and the rule.
const NETWORKS: [(&str, &str, Set, &str); 5] = [
    ("i", "resnet18", &[("stem", "imagenet")], "velograd"),
    ("c", "resnet18", &[("stem", "cifar")], "velograd"),
    ("a", "airbench94", &[], "muon"),
    ("g", "gpt", &[("preset", "baby")], "adamw"),
    ("v", "vit", &[("preset", "tiny"), ("patch", "4")], "adamw"),
];

/// What the letters mean.
pub const LETTERS: &str = "i: ResNet-18 with the ImageNet stem, c: with the CIFAR stem, both with a batch of 128 and VeloGrad; \
                           a: airbench94 with 2,000 images and Muon; g: gpt, preset baby, and v: vit, preset tiny with patches of 4, both \
                           with a batch of 64 and AdamW";

/// A form, and what is known of it.
pub struct Form {
    /// The kernel and its options.
    pub spec: Spec,
    /// The letters of the networks that choose it; empty if it can only be forced.
    pub networks: String,
}

impl Form {
    /// Whether it is a matrix product, which is judged by its loop.
    pub fn is_product(&self) -> bool {
        self.spec.imports.iter().any(|(name, _)| *name == "gemm")
    }
}

/// A form's name, by which it is known from one version to the next: how deep a tile stages is not part of it.
pub fn name(spec: &Spec) -> String {
    let tile = ["LANES", "ROWS", "COLS", "DEPTH", "ROWS_4", "COLS_4", "FETCHES"];
    let size = |name: &str| spec.consts.iter().find_map(|(key, value)| (key == name).then_some(*value));
    match (spec.imports.contains(&("gemm", "gemm_tile")), size("ROWS"), size("COLS")) {
        (true, Some(Const::U32(rows)), Some(Const::U32(cols))) => {
            let mut plain = spec.clone();
            plain.consts.retain(|(key, _)| !tile.contains(&key.as_ref()));
            plain.imports.retain(|import| *import != ("gemm", "gemm_tile"));
            format!("{plain} {rows}x{cols}")
        }
        _ => spec.to_string(),
    }
}

fn recordings(target: &Target, precision: Precision, network: usize) -> Vec<Recording> {
    let (letter, model, set, rule) = NETWORKS[network];
    let model = models::find(model).expect("a model of the program");
    let owned = |(key, word): &(&str, &str)| ((*key).to_owned(), (*word).to_owned());
    let set: Vec<_> = set.iter().map(owned).collect();
    let config: Config = model.usual(&set).expect("settings of the model");
    let augment = match letter {
        "i" | "c" => Augment::PAPER,
        "a" => Augment::AIRBENCH,
        _ => Augment::NONE,
    };
    let recipe = Recipe { precision, augment, tta: letter == "a", ..Recipe::default() };
    let batch = [128, 128, 2000, 64, 64][network];
    let plans = Plans { model, config, recipe, target: target.clone(), train: vec![batch], evaluate: vec![batch] };
    let set = if letter == "a" { vec![("variant".into(), "airbench".into())] } else { vec![] };
    let (rule, _) = optim::build(rule, &set).expect("a rule of the program");
    plans.programs(Some(rule.as_ref())).numbered().0
}

/// Every form that a large GPU chooses for the networks, every tile for every product of theirs, and every other that is ever
/// recorded for a device without subgroups.
pub fn forms() -> BTreeMap<String, Form> {
    let mut forms = BTreeMap::new();
    let mut add = |letter: &str, spec: &Spec| {
        let form = forms.entry(name(spec)).or_insert_with(|| Form { spec: spec.clone(), networks: String::new() });
        assert_eq!(form.spec, *spec, "two forms have one name");
        if !form.networks.contains(letter) {
            form.networks.push_str(letter);
        }
    };
    let large = Target { units: 256, ..Target::portable() };
    for precision in [Precision::F32, Precision::Mixed] {
        for (network, (letter, ..)) in NETWORKS.iter().enumerate() {
            let chosen = recordings(&large, precision, network);
            chosen.iter().flat_map(|recording| &recording.calls).for_each(|call| add(letter, &call.spec));
            for gemm in Gemm::TILES {
                let forced = Target { forced: Some(Choice { gemm, parts: 1 }), ..large.clone() };
                let forced = recordings(&forced, precision, network);
                forced.iter().flat_map(|recording| &recording.calls).for_each(|call| add("", &call.spec));
            }
        }
        for spec in shaders::forms(&Target::portable().with(precision)).values() {
            add("", spec);
        }
    }
    forms
}

/// A kernel's SPIR-V, and its bindings: number, and whether it is a uniform.
pub fn compile(spec: &Spec) -> (Vec<u32>, Vec<(u32, bool)>) {
    let linked = link(spec);
    // Rules of one's own are compiled with checks; those that come with the program are not.
    let unchecked = BoundsCheckPolicy::Unchecked;
    let options = spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::LABEL_VARYINGS | spv::WriterFlags::FORCE_POINT_SIZE,
        bounds_check_policies: naga::proc::BoundsCheckPolicies {
            index: unchecked,
            buffer: unchecked,
            image_load: unchecked,
            binding_array: unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        emit_int_div_checks: false,
        ..spv::Options::default()
    };
    let entry = spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".into() };
    let words = spv::write_vec(&linked.module, &linked.info, &options, Some(&entry));
    let words = words.unwrap_or_else(|fault| panic!("{spec}: {fault}"));
    let uniforms = linked.sizes.iter().map(|sizes| sizes.0).chain(linked.step.map(|step| step.0));
    let storage = linked.storage.iter().map(|binding| (binding.index, false));
    (words, storage.chain(uniforms.map(|index| (index, true))).collect())
}
