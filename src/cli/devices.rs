//! `velograd devices`: lists the adapters of this machine.

use clap::Args;
use pollster::block_on;
use serde_json::json;

use super::{json_line, print::say};
use crate::{
    device::{Adapter, adapters},
    error::Result,
    host::{device::choose, environment},
};

#[derive(Args)]
pub(super) struct Arguments {
    /// A JSON array on standard output
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    environment::check()?;
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
    // The first line has shown these already.
    let shown = |key: &str| !["index", "name", "backend", "type", "driver"].contains(&key);
    for (row, adapter) in rows.iter().zip(&adapters) {
        say!("{}: {}", row["index"], adapter.info.describe());
        for (key, value) in row.as_object().into_iter().flatten().filter(|(key, _)| shown(key)) {
            let text = match value {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Array(list) => list.iter().filter_map(|v| v.as_str()).collect::<Vec<_>>().join(", "),
                other => other.to_string(),
            };
            say!("   {:<28} {text}", key.replace('_', " "));
        }
    }
    say!(
        "\ndiscrete before integrated before software, Vulkan, Metal and DX12 before GL;\n--device NAME|INDEX or \
         WGPU_ADAPTER_NAME chooses another"
    );
    Ok(())
}

fn row(index: usize, adapter: &Adapter, chosen: bool) -> serde_json::Value {
    let (info, limits, has) = (&adapter.info, adapter.limits(), adapter.features);
    let features = [
        ("subgroups", has.subgroups),
        ("f16", has.f16),
        ("integers of 64 bits", has.int64),
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
        "why": match (chosen, environment::adapter_name()) {
            (true, None) => "first in the order of choice",
            (false, None) => "another comes first in the order of choice",
            (true, Some(_)) => "named by WGPU_ADAPTER_NAME",
            (false, Some(_)) => "WGPU_ADAPTER_NAME names another",
        },
        "features": features,
        "kernel_forms": adapter.target().gemm.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        "subgroup_size": info.subgroup.map(|size| size.to_string()),
        "max_binding_bytes": limits.max_storage_buffer_binding_size,
        "max_buffer_bytes": limits.max_buffer_size,
        "max_workgroup_memory_bytes": limits.max_compute_workgroup_storage_size,
        "max_workgroup_invocations": limits.max_compute_invocations_per_workgroup,
        "max_storage_buffers": limits.max_storage_buffers_per_shader_stage,
    })
}
