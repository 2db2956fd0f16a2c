//! Every shader in every form that is ever recorded is valid, within its target's limits, and translated by every back
//! end.

use std::collections::{BTreeMap, BTreeSet};

use naga::back::{glsl, hlsl, msl, spv};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use velograd::data::Image;
use velograd::models::resnet::{self, Stem, resnet18};
use velograd::ops::{self, Augment, Normalize};
use velograd::optim::{self, Clip, Kind};
use velograd::program::params::{Init, Role, Shape};
use velograd::program::shader::{COOPERATIVE, Linked, SHADERS, Spec, link};
use velograd::program::target::{Precision, Target};
use velograd::program::{Recording, Tape};
use velograd::{check::selftest::table, program::product::Matrix};

/// A network as it is trained and as it is evaluated.
fn resnet(target: &Target, stem: Stem, width: u32, training: bool) -> Recording {
    let mut t = Tape::new(target, training);
    let augment = if training { Augment::PAPER } else { Augment::NONE };
    let draws = ops::draw(&mut t, 20, Image::CIFAR, augment);
    let images = ops::augment(&mut t, 20, Image::CIFAR, draws, augment, Normalize::HALF);
    let logits = resnet18(&mut t, images, &resnet::config(stem, width, 10));
    ops::cross_entropy(&mut t, logits, 0.0);
    t.backward();
    t.finish()
}

/// No clipping, both kinds, and each alone: the calls that follow have other forms.
const CLIPS: [Clip; 4] = [
    Clip { value: None, norm: None },
    Clip { value: Some(1.0), norm: Some(1.0) },
    Clip { value: Some(1.0), norm: None },
    Clip { value: None, norm: Some(1.0) },
];

/// One update of every optimizer: with its defaults, with momentum, and with each choice and flag at its other values.
fn updates(target: &Target) -> Vec<Recording> {
    let mut t = Tape::new(target, true);
    t.param("weight", Shape::Filter { k: 40, c: 60, r: 3, s: 3 }, Init::KaimingFanOut, Role::Weight);
    t.param("tall", Shape::Matrix { outputs: 40, inputs: 10 }, Init::Constant(0.0), Role::Weight);
    t.param("bias", Shape::Vector { c: 10 }, Init::Constant(0.0), Role::Bias);
    let mut recordings = Vec::new();
    for entry in optim::ALL.iter() {
        let mut variants = vec![vec![], vec![("momentum", "0.9")]];
        for setting in &entry.settings {
            let words: Vec<&str> = match &setting.kind {
                Kind::Flag { default } => vec![if *default { "false" } else { "true" }],
                Kind::Choice { words } => words.iter().map(String::as_str).collect(),
                _ => vec![],
            };
            variants.extend(words.iter().map(|word| vec![(setting.key.as_str(), *word)]));
            variants.extend(words.iter().map(|word| vec![("momentum", "0.9"), (setting.key.as_str(), *word)]));
        }
        let before = recordings.len();
        for variant in variants {
            let given: Vec<_> = variant.iter().map(|(key, word)| (key.to_string(), word.to_string())).collect();
            // Not every optimizer has momentum, and some choices need another setting.
            if let Ok((optimizer, _)) = entry.build(&given) {
                let tape = || Tape::over_layout(target, t.layout());
                recordings.extend(CLIPS[..2].iter().map(|&clip| optim::record(optimizer.as_ref(), clip, tape())));
                recordings.extend(optim::record_evaluation(optimizer.as_ref(), tape()));
            }
        }
        let (rule, _) = entry.build(&[]).expect("defaults fit together");
        let wrapped = optim::Lookahead { k: 5, alpha: 0.5 }.around(rule);
        let tape = || Tape::over_layout(target, t.layout());
        recordings.extend(CLIPS.iter().map(|&clip| optim::record(wrapped.as_ref(), clip, tape())));
        assert!(recordings.len() > before + 1, "{} does not build with its defaults", entry.name);
    }
    recordings
}

/// All forms that a target's recordings use, by name.
pub fn forms(target: &Target) -> BTreeMap<String, Spec> {
    let mut recordings: Vec<Recording> = table().iter().map(|entry| entry.case.recording(target)).collect();
    for (stem, width) in [(Stem::Imagenet, 16), (Stem::Imagenet, 64), (Stem::Cifar, 16), (Stem::Cifar, 64)] {
        recordings.extend([true, false].map(|training| resnet(target, stem, width, training)));
    }
    recordings.extend(updates(target));
    let calls = recordings.into_iter().flat_map(|recording| recording.calls);
    calls.map(|call| (call.spec.to_string(), call.spec)).collect()
}

fn all_forms() -> BTreeMap<String, Spec> {
    let wide = Target { wide: true, ..Target::software(8) };
    let targets = [Target::portable(), Target::software(4), Target::software(8), wide];
    let mixed = targets.iter().map(|target| target.with(Precision::Mixed));
    let cores = [(8, 8, false), (8, 32, false), (16, 32, false), (16, 64, false), (16, 32, true)];
    let matrix = cores.map(|(tile, subgroup, plain)| Target {
        matrix: Some(Matrix { tile, subgroup, plain }),
        ..Target::portable().with(Precision::Mixed)
    });
    targets.iter().cloned().chain(mixed).chain(matrix).flat_map(|target| forms(&target)).collect()
}

/// Linking also validates, and panics with the file and line.
#[test]
fn every_form_is_written_by_every_back_end() {
    let forms = all_forms();
    println!("{} forms", forms.len());
    assert!(forms.len() > 50, "only {} forms were recorded", forms.len());
    assert!(forms.values().filter(|spec| spec.half).count() > 50, "few forms store f16");
    for (name, spec) in forms {
        let linked = link(&spec);
        for (back_end, write) in BACK_ENDS {
            // OpenGL has no f16 in buffers, no integers of 64 bits, and its devices do not claim them; only Vulkan and
            // Metal have cooperative matrices.
            let matrix = spec.imports.iter().any(|(_, file)| COOPERATIVE.contains(file));
            let wide = spec.imports.iter().any(|(_, file)| *file == "operand_wide");
            if ((spec.half || wide) && back_end == GLSL) || (matrix && back_end == HLSL) {
                continue;
            }
            let written = write(&linked).unwrap_or_else(|fault| panic!("{name} to {back_end}: {fault}"));
            assert!(written > 0, "{name} to {back_end}: nothing was written");
        }
    }
}

type Write = fn(&Linked) -> Result<usize, String>;
const GLSL: &str = "GLSL ES 3.10";
const HLSL: &str = "HLSL";
const BACK_ENDS: [(&str, Write); 4] = [("SPIR-V", to_spirv), ("MSL", to_msl), (HLSL, to_hlsl), (GLSL, to_glsl)];

/// SPIR-V 1.3 is that of Vulkan 1.1, the first version with subgroups.
fn to_spirv(linked: &Linked) -> Result<usize, String> {
    let options = spv::Options { lang_version: (1, 3), ..spv::Options::default() };
    let entry = spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".into() };
    let words = spv::write_vec(&linked.module, &linked.info, &options, Some(&entry));
    words.map(|words| words.len()).map_err(|fault| fault.to_string())
}

/// Metal 2.4 has SIMD-group functions.
fn to_msl(linked: &Linked) -> Result<usize, String> {
    let options = msl::Options { lang_version: (2, 4), ..msl::Options::default() };
    let text = msl::write_string(&linked.module, &linked.info, &options, &msl::PipelineOptions::default());
    text.map(|(text, _)| text.len()).map_err(|fault| fault.to_string())
}

/// Shader model 6.0 has wave intrinsics, 6.2 half precision.
fn to_hlsl(linked: &Linked) -> Result<usize, String> {
    let options = hlsl::Options { shader_model: hlsl::ShaderModel::V6_2, ..hlsl::Options::default() };
    let (mut text, entry) = (String::new(), hlsl::PipelineOptions::default());
    let written = hlsl::Writer::new(&mut text, &options, &entry).write(&linked.module, &linked.info, None);
    written.map(|_| text.len()).map_err(|fault| fault.to_string())
}

fn to_glsl(linked: &Linked) -> Result<usize, String> {
    let options = glsl::Options { version: glsl::Version::new_gles(310), ..glsl::Options::default() };
    let entry =
        glsl::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".into(), multiview: None };
    let (mut text, policies) = (String::new(), naga::proc::BoundsCheckPolicies::default());
    let writer = glsl::Writer::new(&mut text, &linked.module, &linked.info, &options, &entry, policies);
    writer.and_then(|mut writer| writer.write()).map_err(|fault| fault.to_string())?;
    Ok(text.len())
}

/// Bytes of workgroup memory.
fn workgroup_bytes(linked: &Linked) -> u32 {
    let shared = linked.module.global_variables.iter().filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup);
    shared.map(|(_, v)| linked.module.types[v.ty].inner.size(linked.module.to_ctx())).sum()
}

/// The portable forms need only WebGPU's core, and f16 where that is stored: they pass naga's validator without other
/// capabilities, within the default limits.
#[test]
fn portable_forms_need_nothing_optional() {
    let portable = Target::portable();
    for (name, spec) in forms(&portable).into_iter().chain(forms(&portable.with(Precision::Mixed))) {
        let linked = link(&spec);
        let optional = if spec.half { Capabilities::SHADER_FLOAT16 } else { Capabilities::empty() };
        let core = Validator::new(ValidationFlags::all(), optional).validate(&linked.module);
        assert!(core.is_ok(), "{name}: {}", core.expect_err("it is not valid").into_inner());
        let [x, y, z] = linked.workgroup_size;
        assert!(x * y * z <= 256 && z <= 64, "{name}: {x} x {y} x {z} invocations");
        assert!(linked.storage.len() <= 8, "{name}: {} storage buffers", linked.storage.len());
        assert!(workgroup_bytes(&linked) <= 16 << 10, "{name}: {} bytes of workgroup memory", workgroup_bytes(&linked));
        assert!(linked.sizes.is_none_or(|(_, span, _)| span <= 256), "{name}: Sizes is longer than its slot");
    }
}

/// The test above would notice a subgroup operation.
#[test]
fn subgroup_forms_are_not_portable() {
    let subgroup = forms(&Target::software(8)).into_values().filter(|spec| {
        let valid = Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&link(spec).module);
        valid.is_err()
    });
    let paths: BTreeSet<_> = subgroup.map(|spec| spec.path).collect();
    assert!(paths.contains("conv2d/forward") && paths.contains("loss/finish"), "{paths:?}");
}

/// The files that a form consists of, itself included.
fn files(spec: &Spec, path: &str, found: &mut BTreeSet<String>) {
    if !found.insert(path.to_owned()) {
        return;
    }
    let (_, text) = SHADERS.iter().find(|(name, _)| *name == path).unwrap_or_else(|| panic!("no shader {path}"));
    imports(spec, text, found);
}

fn imports(spec: &Spec, text: &str, found: &mut BTreeSet<String>) {
    for name in text.lines().filter_map(|line| line.trim().strip_prefix("#import ")) {
        let mapped = spec.imports.iter().find(|(from, _)| *from == name).map_or(name, |(_, to)| *to);
        files(spec, &format!("shared/{mapped}"), found);
    }
}

#[test]
fn every_file_is_part_of_a_recorded_form() {
    let mut used = BTreeSet::new();
    for spec in all_forms().values() {
        // Each form is collected separately, since imports may map to other files.
        let mut found = BTreeSet::new();
        match &spec.source {
            None => files(spec, &spec.path, &mut found),
            // A rule's kernel is generated around its file.
            Some(source) => {
                let rule = spec.path.split('.').next().unwrap_or_default();
                found.insert(rule.to_owned());
                source.pieces.iter().for_each(|piece| imports(spec, &piece.text, &mut found));
            }
        }
        used.extend(found);
    }
    let unused = SHADERS.iter().map(|(path, _)| *path).filter(|path| !used.contains(*path));
    let unused: Vec<_> = unused.collect();
    assert!(unused.is_empty(), "no recording uses {unused:?}");
}

#[test]
fn files_keep_the_house_rules() {
    for (path, text) in SHADERS {
        // A rule begins with its header, whose first line is its source, and describes itself after that.
        let rule = text.starts_with("//! source = ");
        let first = text.lines().find(|line| !line.starts_with("//!")).unwrap_or_default();
        assert!(
            first.starts_with("// ") && first.len() > 10,
            "shaders/{path}.wgsl does not begin by saying what it is"
        );
        assert!(!text.contains("atomic<f32>"), "shaders/{path}.wgsl: WGSL has no float atomics");
        let mains = text.matches("fn main(").count();
        let expected = usize::from(!path.starts_with("shared/") && !rule);
        assert_eq!(mains, expected, "shaders/{path}.wgsl: entry points called main");
        assert_eq!(text.matches("@compute").count(), expected, "shaders/{path}.wgsl: entry points");
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(widest <= 140, "shaders/{path}.wgsl: a line of {widest} characters");
    }
}
