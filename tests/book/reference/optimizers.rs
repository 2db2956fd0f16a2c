use std::{fmt::Write as _, path::Path};

use velograd::optim::{self, Kind, Start};

use super::{ROOT, plain, table};

/// Every update rule with its settings.
pub fn page() -> String {
    let mut out = "# Optimizers\n\n\
        These are the rules that `velograd optimizers` lists; [the guide](../OPTIMIZERS.md) says how they are used. `--set KEY=VALUE` \
        changes a setting. A word of state is four bytes per parameter.\n"
        .to_owned();
    for rule in optim::ALL.iter() {
        let (optimizer, _) = rule.build(&[]).unwrap();
        write!(out, "\n## {}\n\nSource: {}. ", rule.name, plain(&rule.source)).unwrap();
        let copy = optimizer.state().iter().any(|(_, start)| *start == Start::Params);
        let state = match optimizer.words() {
            0 => "No state".to_owned(),
            1 => "One word of state per parameter".to_owned(),
            words => format!("{words} words of state per parameter"),
        };
        write!(out, "{state}{}.", if copy { ", of which one begins as a copy of it" } else { "" }).unwrap();
        let file = format!("shaders/optim/{}.wgsl", rule.name);
        if std::fs::read_to_string(Path::new(ROOT).join(&file)).is_ok_and(|text| text.starts_with("//!")) {
            write!(out, " [Its file](../../{file}).").unwrap();
        }
        out.push_str("\n\n");
        let rows = rule.settings.iter().map(|setting| {
            let range = match setting.kind {
                Kind::Flag { .. } => "true or false".to_owned(),
                _ => setting.range().trim_end_matches(" that f32 holds").to_owned(),
            };
            vec![format!("`{}`", setting.key), format!("`{}`", setting.default()), plain(&range), plain(&setting.doc)]
        });
        out.push_str(&table(&["setting", "default", "values", "meaning"], rows));
    }
    out
}
