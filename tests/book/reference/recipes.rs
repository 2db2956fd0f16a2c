use std::{fmt::Write as _, fs, path::Path};

use super::ROOT;

/// Every recipe in `recipes/`: its command, what it is, and its settings.
pub fn page() -> String {
    let mut out = "# Recipes\n\n\
        A recipe is a file of [settings](settings.md) for `--config`. These come with the program, in `recipes/`; flags on the command line \
        take precedence over them. With `--quick` the table `[quick]` does too: then a recipe is a first look of minutes on two cores \
        ([results](../results/README.md#every-recipe-in-minutes)).\n"
        .to_owned();
    let mut files: Vec<_> =
        fs::read_dir(Path::new(ROOT).join("recipes")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let (about, settings): (Vec<&str>, Vec<&str>) = {
            let split = text.lines().take_while(|line| line.starts_with('#')).count();
            (text.lines().take(split).collect(), text.lines().skip(split).collect())
        };
        let about: Vec<&str> = about.iter().map(|line| line.trim_start_matches('#').trim_start()).collect();
        let (command, about) = about.split_first().unwrap();
        writeln!(out, "\n## {}\n\n```sh,download\n{command}\n```\n", name.trim_end_matches(".toml")).unwrap();
        writeln!(out, "{}\n", about.join("\n").trim()).unwrap();
        writeln!(out, "```toml\n{}\n```", settings.join("\n").trim()).unwrap();
    }
    out
}
