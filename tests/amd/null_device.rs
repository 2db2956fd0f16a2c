//! AMD's compiler without AMD's hardware: Mesa's RADV on its null device, which compiles pipelines and runs none.
#![allow(unsafe_code, reason = "Vulkan is called directly, since wgpu cannot open a device without memory and fences")]

use std::{
    collections::BTreeMap,
    ffi::{CStr, c_char},
    ptr::null_mut,
};

use ash::{Entry, ext, khr, vk};

/// The name of the representation that is read.
const ASSEMBLY: &str = "Assembly";

/// The device, open.
pub struct NullDevice {
    /// Driver's name and version, as in `radv Mesa 25.0.7`.
    pub driver: String,
    device: ash::Device,
    executables: khr::pipeline_executable_properties::Device,
    // Dropped last: the library behind the handles above.
    _instance: ash::Instance,
    _entry: Entry,
}

/// What the compiler says of a kernel.
pub struct Compiled {
    /// Its statistics, by the names that Mesa gives them.
    pub statistics: BTreeMap<String, u64>,
    /// The machine's instructions, as text.
    pub assembly: String,
}

/// A string of the driver's.
fn text(raw: &[c_char]) -> String {
    let bytes: Vec<u8> = raw.iter().map(|&c| c.cast_unsigned()).collect();
    CStr::from_bytes_until_nul(&bytes).map_or_else(|_| String::new(), |text| text.to_string_lossy().into_owned())
}

impl NullDevice {
    /// Opens the first device of the driver that the environment names, with the features that wgpu would ask for.
    pub fn open() -> Result<Self, String> {
        // SAFETY: every structure lives until the call that it is given to returns, extensions and features are those that the device
        // reports, and the handles are used together with the instance that they are of.
        unsafe {
            let entry = Entry::load().map_err(|fault| format!("the Vulkan loader: {fault}"))?;
            let app = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
            let create = vk::InstanceCreateInfo::default().application_info(&app);
            let instance =
                entry.create_instance(&create, None).map_err(|fault| format!("vkCreateInstance: {fault}"))?;
            let all = instance.enumerate_physical_devices().map_err(|fault| format!("no device: {fault}"))?;
            let physical = *all.first().ok_or("the driver has no null device of this family")?;

            let mut driver = vk::PhysicalDeviceDriverProperties::default();
            let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut driver);
            instance.get_physical_device_properties2(physical, &mut properties);
            let driver = format!("{} {}", text(&driver.driver_name), text(&driver.driver_info));

            let mut of_11 = vk::PhysicalDeviceVulkan11Features::default();
            let mut of_12 = vk::PhysicalDeviceVulkan12Features::default();
            let mut of_13 = vk::PhysicalDeviceVulkan13Features::default();
            let mut robust = vk::PhysicalDeviceRobustness2FeaturesEXT::default();
            let mut telling = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default();
            let mut features = vk::PhysicalDeviceFeatures2::default()
                .push_next(&mut of_11)
                .push_next(&mut of_12)
                .push_next(&mut of_13)
                .push_next(&mut robust)
                .push_next(&mut telling);
            instance.get_physical_device_features2(physical, &mut features);
            let names = [khr::pipeline_executable_properties::NAME, ext::robustness2::NAME].map(CStr::as_ptr);
            let queue = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
            let create = vk::DeviceCreateInfo::default().queue_create_infos(&queue).enabled_extension_names(&names);
            let device = instance
                .create_device(physical, &create.push_next(&mut features), None)
                .map_err(|fault| format!("vkCreateDevice: {fault}"))?;
            let executables = khr::pipeline_executable_properties::Device::new(&instance, &device);
            Ok(Self { driver, device, executables, _instance: instance, _entry: entry })
        }
    }

    /// Compiles a kernel: SPIR-V, and its bindings, each of which is a uniform or a storage buffer.
    pub fn compile(&self, words: &[u32], bindings: &[(u32, bool)]) -> Result<Compiled, String> {
        let fault = |call: &'static str| move |fault: vk::Result| format!("{call}: {fault}");
        let bindings: Vec<_> = bindings
            .iter()
            .map(|&(index, uniform)| {
                let kind =
                    if uniform { vk::DescriptorType::UNIFORM_BUFFER } else { vk::DescriptorType::STORAGE_BUFFER };
                let stages = vk::ShaderStageFlags::COMPUTE;
                let binding = vk::DescriptorSetLayoutBinding::default().binding(index).stage_flags(stages);
                binding.descriptor_type(kind).descriptor_count(1)
            })
            .collect();
        // SAFETY: the SPIR-V is naga's of a validated module, its entry point is `main`, and the layout has the module's bindings. What
        // is created ends with the process, which compiles each kernel once.
        unsafe {
            let device = &self.device;
            let module = vk::ShaderModuleCreateInfo::default().code(words);
            let module = device.create_shader_module(&module, None).map_err(fault("vkCreateShaderModule"))?;
            let set = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
            let sets =
                [device.create_descriptor_set_layout(&set, None).map_err(fault("vkCreateDescriptorSetLayout"))?];
            let layout = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = device.create_pipeline_layout(&layout, None).map_err(fault("vkCreatePipelineLayout"))?;
            // As wgpu does where it has subgroups.
            let varying = vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE;
            let stage = vk::PipelineShaderStageCreateInfo::default().stage(vk::ShaderStageFlags::COMPUTE);
            let stage = stage.module(module).name(c"main").flags(varying);
            let telling = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
            let create = [vk::ComputePipelineCreateInfo::default().flags(telling).stage(stage).layout(layout)];
            let made = device.create_compute_pipelines(vk::PipelineCache::null(), &create, None);
            let pipeline = made.map_err(|(_, code)| format!("vkCreateComputePipelines: {code}"))?[0];

            let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
            let all = self.executables.get_pipeline_executable_statistics(&info).map_err(fault("statistics"))?;
            let value = |s: &vk::PipelineExecutableStatisticKHR<'_>| match s.format {
                vk::PipelineExecutableStatisticFormatKHR::UINT64 => Some(s.value.u64),
                _ => None,
            };
            let statistics = all.iter().filter_map(|s| Some((text(&s.name), value(s)?))).collect();
            Ok(Compiled { statistics, assembly: self.assembly(&info)? })
        }
    }

    /// The instructions of an executable.
    fn assembly(&self, info: &vk::PipelineExecutableInfoKHR<'_>) -> Result<String, String> {
        let call = self.executables.fp().get_pipeline_executable_internal_representations_khr;
        let (device, mut count) = (self.device.handle(), 0);
        // SAFETY: the driver first states how many texts there are, then how long each is, and then fills buffers of that length.
        unsafe {
            let counted = call(device, info, &mut count, null_mut());
            let mut list = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
            let measured = call(device, info, &mut count, list.as_mut_ptr());
            let mut texts: Vec<Vec<u8>> = list.iter().map(|one| vec![0; one.data_size]).collect();
            for (one, text) in list.iter_mut().zip(&mut texts) {
                one.p_data = text.as_mut_ptr().cast();
            }
            let filled = call(device, info, &mut count, list.as_mut_ptr());
            let failed = [counted, measured, filled].into_iter().find(|&code| code != vk::Result::SUCCESS);
            if let Some(code) = failed {
                return Err(format!("vkGetPipelineExecutableInternalRepresentationsKHR: {code}"));
            }
            let wanted = list.iter().zip(texts).find(|(one, _)| text(&one.name) == ASSEMBLY);
            let (_, bytes) = wanted.ok_or("the driver shows no assembly: it was built without a disassembler")?;
            Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned())
        }
    }
}
