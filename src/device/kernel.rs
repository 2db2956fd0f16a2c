//! A shader on a device: its pipeline, and its bindings as the WGSL states them.

use std::borrow::Cow;

use super::unchecked::trusted_module;
use crate::program::{
    Dtype, Size,
    shader::{self, Access, Binding, Field, Spec},
};

/// A compiled kernel.
pub struct Kernel {
    /// Name and options; the prefix of every error about it.
    pub name: String,
    /// wgpu's pipeline.
    pub pipeline: wgpu::ComputePipeline,
    /// Storage buffers in binding order.
    pub storage: Vec<Binding>,
    /// Binding number, span and fields of `Sizes`.
    pub sizes: Option<(u32, u32, Vec<Field>)>,
    /// Binding number of `step`.
    pub step: Option<u32>,
}

impl Kernel {
    /// Links and compiles a kernel. `checked` adds run-time checks of bounds and loops, which a rule from outside
    /// always has; `cache` holds what the driver has compiled before.
    pub(super) fn new(device: &wgpu::Device, checked: bool, cache: Option<&wgpu::PipelineCache>, spec: &Spec) -> Self {
        let checked = checked || spec.is_foreign();
        let linked = shader::link(spec);
        let name = spec.to_string();
        let descriptor =
            wgpu::ShaderModuleDescriptor { label: Some(&name), source: wgpu::ShaderSource::Wgsl(linked.source.into()) };
        let module = if checked { device.create_shader_module(descriptor) } else { trusted_module(device, descriptor) };
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&name),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: checked,
                ..Default::default()
            },
            cache,
        });
        let step = linked.step.map(|(binding, _)| binding);
        Self { name, pipeline, storage: linked.storage, sizes: linked.sizes, step }
    }

    /// Checks the arguments of a call against what the WGSL declares.
    ///
    /// # Panics
    /// If they differ, with both.
    pub fn check(&self, given: &[(Access, Dtype)], sizes: &[(Cow<'static, str>, Size)]) {
        let name = &self.name;
        let declared: Vec<String> = self.storage.iter().map(|b| format!("{} ({:?})", b.name, b.access)).collect();
        assert_eq!(given.len(), self.storage.len(), "`{name}` declares {declared:?}, the call gives {given:?}");
        for (binding, (access, dtype)) in self.storage.iter().zip(given) {
            assert_eq!(binding.access, *access, "`{name}`: `{}` is {:?} in WGSL", binding.name, binding.access);
            // Persistent buffers count as f32, whatever words they hold.
            let fits = match dtype {
                Dtype::F32 => binding.element != Some(naga::Scalar::F16),
                Dtype::F16 => binding.element == Some(naga::Scalar::F16),
                Dtype::U32 => binding.element == Some(naga::Scalar::U32),
            };
            assert!(fits, "`{name}`: `{}` is {:?} in WGSL, given is {dtype:?}", binding.name, binding.element);
        }
        let declared = self.sizes.as_ref().map_or(0, |s| s.2.len());
        assert_eq!(sizes.len(), declared, "`{name}`: Sizes has {declared} fields, the call gives {sizes:?}");
    }

    /// The bytes of `Sizes`.
    ///
    /// # Panics
    /// If a field of the struct is not given, or is of the other type.
    pub fn pack(&self, sizes: &[(Cow<'static, str>, Size)]) -> Vec<u8> {
        let Some((_, span, fields)) = &self.sizes else { return Vec::new() };
        let mut bytes = vec![0; *span as usize];
        for field in fields {
            let given = sizes.iter().find(|(name, _)| *name == field.name);
            let word = match given {
                Some((_, Size::U32(v))) if !field.float => v.to_le_bytes(),
                Some((_, Size::F32(v))) if field.float => v.to_le_bytes(),
                _ => panic!("`{}`: Sizes.{} (float: {}) is given as {given:?}", self.name, field.name, field.float),
            };
            bytes[field.offset as usize..][..4].copy_from_slice(&word);
        }
        bytes
    }
}
