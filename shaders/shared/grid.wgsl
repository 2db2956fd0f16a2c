// The flat index of a workgroup: a grid of more than 65,535 workgroups has two dimensions.
fn flat_group(group: vec3<u32>, groups: vec3<u32>) -> u32 { return group.y * groups.x + group.x; }
