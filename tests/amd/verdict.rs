//! What AMD's compiler said of all forms: what is wrong with it, what is recorded of it, and all of it as a table.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    assembly::Loop,
    forms::{Form, LETTERS},
};

/// What is read of a form, and the names that versions of Mesa have for it.
const STATISTICS: [(&str, &[&str]); 10] = [
    ("VGPR", &["VGPRs"]),
    ("SGPR", &["SGPRs"]),
    ("spilled VGPR", &["Spilled VGPRs"]),
    ("spilled SGPR", &["Spilled SGPRs"]),
    ("scratch", &["Scratch size"]),
    ("LDS", &["LDS size"]),
    ("waves", &["Subgroups per SIMD", "Max Waves", "Occupancy"]),
    ("instructions", &["Instructions", "Instruction Count"]),
    ("latency", &["Latency"]),
    ("inverse throughput", &["Inverse Throughput"]),
];

/// What a form loses its registers to.
const LOST: [&str; 3] = ["spilled VGPR", "spilled SGPR", "scratch"];

/// Points of a percentage by which a version of Mesa that has no record may fall behind one that has.
const OF_ANOTHER_VERSION: f64 = 5.0;

/// A form, as a device's compiler sees it.
pub struct Row {
    statistics: BTreeMap<&'static str, u64>,
    /// Whether it is a product, and its loop.
    product: bool,
    body: Option<Loop>,
}

/// Every form, on one device.
pub struct Judged {
    family: String,
    driver: String,
    rows: BTreeMap<String, Row>,
}

impl Judged {
    /// Reads what a process wrote about a family.
    pub fn read(family: &str, told: &Value) -> Self {
        let row = |form: &Value| {
            let given = form["statistics"].as_object().expect("an object");
            let find = |(name, known): &(&'static str, &[&str])| {
                let is = |key: &str| known.iter().any(|known| known.eq_ignore_ascii_case(key));
                let found = given.iter().find(|(key, _)| is(key)).and_then(|(_, value)| value.as_u64());
                (*name, found.unwrap_or_else(|| panic!("no {name} among {:?}", given.keys().collect::<Vec<_>>())))
            };
            let of = |value: &Value| value.as_u64().expect("a number");
            let body = form["loop"].as_array().map(|at| Loop { multiply_adds: of(&at[0]), instructions: of(&at[1]) });
            let row = Row { statistics: STATISTICS.iter().map(find).collect(), product: form["product"] == true, body };
            (form["name"].as_str().expect("a name").to_owned(), row)
        };
        let rows = told["forms"].as_array().expect("a list").iter().map(row).collect();
        Self { family: family.to_owned(), driver: told["driver"].as_str().expect("a name").to_owned(), rows }
    }

    /// The version of Mesa, as in 25.0.7.
    fn version(&self) -> &str {
        let after = self.driver.split("Mesa ").nth(1).unwrap_or_default();
        after.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default()
    }

    /// The first number of the version.
    pub fn major(&self) -> u64 {
        number(self.version())[0]
    }

    fn key(&self) -> String {
        format!("{}, Mesa {}", self.family, self.version())
    }

    fn products(&self) -> impl Iterator<Item = (&String, &Row)> {
        self.rows.iter().filter(|(_, row)| row.product)
    }
}

impl Row {
    /// Spilled registers of both kinds, and bytes of scratch memory.
    fn lost(&self) -> [u64; 3] {
        LOST.map(|name| self.statistics[name])
    }
}

/// A version as numbers that can be compared.
fn number(version: &str) -> [u64; 3] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

/// What is known of a device and a version of Mesa.
#[derive(Default, Serialize, Deserialize)]
struct Known {
    /// Forms that spill: registers of both kinds, and bytes of scratch memory.
    spilling: BTreeMap<String, [u64; 3]>,
    /// Multiply-adds and all instructions of the loops of products.
    loops: BTreeMap<String, Loop>,
}

/// What was last recorded, by device and version of Mesa.
pub struct Record(BTreeMap<String, Known>);

impl Record {
    pub fn of(all: &[Judged]) -> Self {
        let known = |judged: &Judged| {
            let one = |(name, row): (&String, &Row)| Some((name.clone(), row.body?));
            let lost = judged.rows.iter().map(|(name, row)| (name.clone(), row.lost()));
            let spilling = lost.filter(|(_, lost)| *lost != [0; 3]).collect();
            Known { spilling, loops: judged.products().filter_map(one).collect() }
        };
        Self(all.iter().map(|judged| (judged.key(), known(judged))).collect())
    }

    pub fn read(text: &str) -> Self {
        Self(serde_json::from_str(text).expect("the record is JSON"))
    }

    /// What to compare a device with, and whether it is of the same version of Mesa; if not, of the nearest that is recorded for the
    /// family.
    fn about(&self, judged: &Judged) -> Option<(&Known, bool)> {
        if let Some(same) = self.0.get(&judged.key()) {
            return Some((same, true));
        }
        let [major, minor, _] = number(judged.version());
        let far = |key: &str| {
            let [of, and, _] = number(key.split("Mesa ").nth(1).unwrap_or_default());
            (1000 * of + and).abs_diff(1000 * major + minor)
        };
        let family = self.0.iter().filter(|(key, _)| key.starts_with(&judged.family));
        family.min_by_key(|(key, _)| far(key)).map(|(_, known)| (known, false))
    }
}

impl fmt::Display for Record {
    /// JSON, with a line for each form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string_pretty(&self.0).map_err(|_| fmt::Error)?;
        // Lists of numbers stay on the line of their form.
        let mut inside = false;
        for line in text.lines() {
            let (text, end) = (line.trim(), line.trim().trim_end_matches(',').ends_with(']'));
            match (inside, text.ends_with('[')) {
                (false, false) => writeln!(f, "{line}")?,
                (false, true) => write!(f, "{line}")?,
                (true, _) if end => writeln!(f, "{text}")?,
                (true, _) => write!(f, "{text}{}", if text.ends_with(',') { " " } else { "" })?,
            }
            inside = text.ends_with('[') || (inside && !end);
        }
        Ok(())
    }
}

/// What is wrong with a device's forms.
pub fn faults(judged: &Judged, record: &Record) -> Vec<String> {
    let key = judged.key();
    let Some((known, same)) = record.about(judged) else {
        return vec![format!("{key}: nothing is recorded for the family")];
    };
    let mut faults = vec![];
    for (name, row) in &judged.rows {
        // By how much a form spills differs from one version to the next; whether it does should not.
        let most = known.spilling.get(name).map_or([0; 3], |lost| if same { *lost } else { [u64::MAX; 3] });
        let all = LOST.iter().zip(row.lost().into_iter().zip(most));
        let worse = all.filter(|(_, (now, most))| now > most);
        faults.extend(worse.map(|(lost, (now, most))| format!("{key}: {name}: {lost} {now}, expected {most}")));
    }
    let slack = if same { 0.0 } else { OF_ANOTHER_VERSION };
    for (name, row) in judged.products() {
        match (row.body, known.loops.get(name)) {
            (None, _) => faults.push(format!("{key}: {name}: no loop has half of its multiply-adds")),
            (_, None) => faults.push(format!("{key}: {name}: not recorded")),
            (Some(now), Some(before)) if now.share() < before.share() - slack => faults.push(format!(
                "{key}: {name}: {:.1} % of the loop are multiply-adds ({} of {}), recorded are {:.1} % ({} of {})",
                now.share(),
                now.multiply_adds,
                now.instructions,
                before.share(),
                before.multiply_adds,
                before.instructions
            )),
            _ => {}
        }
    }
    faults
}

/// The table: products first, which have the share of multiply-adds of their loops, then all other forms of the networks.
pub fn table(forms: &BTreeMap<String, Form>, all: &[Judged]) -> String {
    let cell = |name: &str, value: &dyn Fn(&Row) -> String| {
        let mut values: Vec<String> = all.iter().map(|judged| value(&judged.rows[name])).collect();
        if values.iter().all(|value| *value == values[0]) {
            values.truncate(1);
        }
        values.join(" / ")
    };
    let columns = ["VGPR", "SGPR", "LDS", "waves", "instructions", "latency", "inverse throughput"];
    let row = |name: &str, form: &Form| {
        let mut cells = vec![name.to_owned(), form.networks.clone()];
        if form.is_product() {
            let loops = |row: &Row| row.body;
            let share = |row: &Row| loops(row).map_or("-".into(), |at| format!("{:.0} %", at.share()));
            let counts =
                |row: &Row| loops(row).map_or("-".into(), |at| format!("{} of {}", at.multiply_adds, at.instructions));
            cells.extend([cell(name, &share), cell(name, &counts)]);
        }
        cells.extend(columns.iter().map(|column| cell(name, &|row| row.statistics[column].to_string())));
        format!("| {} |", cells.join(" | "))
    };
    let lines = |product: bool| -> String {
        let wanted =
            forms.iter().filter(|(_, form)| form.is_product() == product && (product || !form.networks.is_empty()));
        wanted.map(|(name, form)| row(name, form) + "\n").collect()
    };
    let head = |names: &[&str]| {
        let names: Vec<&str> = names.iter().chain(&columns).copied().collect();
        format!("| {} |\n{}|\n", names.join(" | "), "|---".repeat(names.len()))
    };
    let devices: Vec<String> = all.iter().map(|judged| format!("{} ({})", judged.family, judged.driver)).collect();
    let spilling = |(name, _): &(&String, &Form)| all.iter().any(|judged| judged.rows[*name].lost() != [0; 3]);
    let spill = |(name, _): (&String, &Form)| {
        let lost = LOST.map(|lost| cell(name, &|row| row.statistics[lost].to_string()));
        format!("| {name} | {} |\n", lost.join(" | "))
    };
    let spills: String = forms.iter().filter(spilling).map(spill).collect();
    let spills = match spills.is_empty() {
        true => "No form spills registers or has scratch memory.\n".to_owned(),
        false => format!(
            "Spilled registers, and bytes of scratch memory; all other forms have none.\n\n| form | {} |\n{}|\n{spills}",
            LOST.join(" | "),
            "|---".repeat(1 + LOST.len())
        ),
    };
    format!(
        "# Kernels as AMD's compiler sees them\n\n\
         `scripts/amd.sh` wrote this: Mesa's RADV compiled {} forms for each device, of which the networks below and every tile of every \
         product are listed. No hardware was asked, nothing was run; latency and inverse throughput are cycles of a wave by the \
         compiler's own model, good for comparing forms. Cells are for\n\n{}\n\n\
         and say it once where all are alike. Networks that choose a form on a large GPU without tuning: {LETTERS}. LDS is workgroup memory \
         in bytes, waves the most that a SIMD holds.\n\n\
         ## Spills\n\n{spills}\n\
         ## Matrix products\n\n\
         \"Multiply-adds\" is their share of the instructions of the loop over the depth.\n\n{}{}\n\
         ## Other kernels\n\n{}{}",
        forms.len(),
        devices.iter().map(|device| format!("- {device}\n")).collect::<String>().trim_end(),
        head(&["form", "networks", "multiply-adds", "of instructions"]),
        lines(true),
        head(&["form", "networks"]),
        lines(false),
    )
}

/// More spills, a share that fell, a product without a loop and one without a record are each a fault, of this version and of another.
#[test]
fn what_gets_worse_is_a_fault() {
    let told = |version: &str, spilled: u64, body: Value| {
        let statistics: BTreeMap<&str, u64> = STATISTICS
            .iter()
            .map(|(name, known)| (known[0], if *name == "spilled VGPR" { spilled } else { 0 }))
            .collect();
        let form = json!({ "name": "product", "statistics": statistics, "product": true, "loop": body });
        Judged::read("navi21", &json!({ "driver": format!("radv Mesa {version}-1"), "forms": [form] }))
    };
    let record = Record::read(&Record::of(&[told("25.0.7", 2, json!([70, 100]))]).to_string());
    let count = |version, spilled, body| faults(&told(version, spilled, body), &record).len();
    assert_eq!(count("25.0.7", 2, json!([70, 100])), 0);
    assert_eq!(count("25.0.7", 0, json!([80, 100])), 0);
    assert_eq!(count("25.0.7", 0, json!([699, 1000])), 1);
    assert_eq!(count("25.0.7", 3, json!([70, 100])), 1);
    assert_eq!(count("25.0.7", 3, Value::Null), 2);
    assert_eq!(count("25.2.0", 3, json!([66, 100])), 0);
    assert_eq!(count("25.2.0", 0, json!([64, 100])), 1);
    let record = Record::of(&[told("25.0.7", 0, json!([70, 100]))]);
    assert_eq!(faults(&told("25.2.0", 1, json!([70, 100])), &record).len(), 1);
    assert_eq!(faults(&told("25.0.7", 0, json!([70, 100])), &Record(BTreeMap::new())).len(), 1);
}
