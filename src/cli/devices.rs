//! `velograd devices`

use clap::Args;
use serde_json::json;

use super::{json_line, print::say};
use crate::{
    device::{adapters, choose, driver},
    error::Result,
    program::target::Target,
};

#[derive(Args)]
pub(super) struct Arguments {
    /// A JSON array on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let adapters = adapters(true);
    if arguments.json && adapters.is_empty() {
        json_line(&json!([]));
    }
    let chosen = choose(&adapters, None)?;
    let rows: Vec<_> = adapters.iter().enumerate().map(|(i, adapter)| row(i, adapter, i == chosen)).collect();
    if arguments.json {
        json_line(&rows);
        return Ok(());
    }
    for row in &rows {
        say!("{}: {}", row["index"], row["name"].as_str().unwrap_or_default());
        for (key, value) in
            row.as_object().into_iter().flatten().filter(|(key, _)| !["index", "name"].contains(&key.as_str()))
        {
            let text = match value {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Array(list) => list.iter().filter_map(|v| v.as_str()).collect::<Vec<_>>().join(", "),
                other => other.to_string(),
            };
            say!("   {:<28} {text}", key.replace('_', " "));
        }
    }
    say!(
        "\ndiscrete before integrated before software, Vulkan, Metal and DX12 before GL; --device NAME|INDEX overrides"
    );
    Ok(())
}

fn row(index: usize, adapter: &wgpu::Adapter, chosen: bool) -> serde_json::Value {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let wanted = [
        ("subgroups", wgpu::Features::SUBGROUP),
        ("f16", wgpu::Features::SHADER_F16),
        ("timestamps", wgpu::Features::TIMESTAMP_QUERY),
        ("timestamps in passes", wgpu::Features::TIMESTAMP_QUERY_INSIDE_PASSES),
        ("cooperative matrices", wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX),
    ];
    let has: Vec<_> = wanted.iter().filter(|(_, f)| features.contains(*f)).map(|(name, _)| *name).collect();
    let target = Target::of(&info, features);
    json!({
        "index": index,
        "name": info.name,
        "backend": format!("{:?}", info.backend).to_lowercase(),
        "type": format!("{:?}", info.device_type),
        "driver": driver(&info),
        "chosen": chosen,
        "why": if chosen { "first in the order of choice" } else { "another comes first in the order of choice" },
        "features": has,
        "matrix_cores": target.gemm.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        "subgroup_size": [info.subgroup_min_size.to_string(), info.subgroup_max_size.to_string()],
        "max_binding_bytes": limits.max_storage_buffer_binding_size,
        "max_buffer_bytes": limits.max_buffer_size,
        "max_workgroup_memory_bytes": limits.max_compute_workgroup_storage_size,
        "max_workgroup_invocations": limits.max_compute_invocations_per_workgroup,
        "max_storage_buffers": limits.max_storage_buffers_per_shader_stage,
    })
}
