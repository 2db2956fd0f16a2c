//! `velograd devices`

use clap::Args;
use pollster::block_on;
use serde_json::json;

use super::{json_line, print::say};
use crate::{
    device::{Adapter, adapters, choose},
    error::Result,
};

#[derive(Args)]
pub(super) struct Arguments {
    /// A JSON array on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let adapters = block_on(adapters(true));
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

fn row(index: usize, adapter: &Adapter, chosen: bool) -> serde_json::Value {
    let (info, limits, has) = (&adapter.info, adapter.limits(), adapter.features);
    let features = [
        ("subgroups", has.subgroups),
        ("f16", has.f16),
        ("timestamps", has.timestamps),
        ("timestamps in passes", has.timestamps_in_passes),
        ("cooperative matrices", has.cooperative_matrices),
    ];
    let features: Vec<_> = features.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
    json!({
        "index": index,
        "name": info.name,
        "backend": info.backend,
        "type": info.kind,
        "driver": info.driver,
        "chosen": chosen,
        "why": if chosen { "first in the order of choice" } else { "another comes first in the order of choice" },
        "features": features,
        "matrix_cores": adapter.target().gemm.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        "subgroup_size": info.subgroup.map(|size| size.to_string()),
        "max_binding_bytes": limits.max_storage_buffer_binding_size,
        "max_buffer_bytes": limits.max_buffer_size,
        "max_workgroup_memory_bytes": limits.max_compute_workgroup_storage_size,
        "max_workgroup_invocations": limits.max_compute_invocations_per_workgroup,
        "max_storage_buffers": limits.max_storage_buffers_per_shader_stage,
    })
}
