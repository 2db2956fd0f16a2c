// A grid of more than 65,535 workgroups is two-dimensional; this is its flat index.
fn flat_group(group: vec3<u32>, groups: vec3<u32>) -> u32 { return group.y * groups.x + group.x; }
