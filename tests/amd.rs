//! AMD's compiler as a judge: Mesa's RADV compiles every kernel without AMD's hardware. None may spill registers or have
//! scratch memory beyond what is recorded, and no loop of a matrix product may have a smaller share of multiply-adds than is recorded.
//!
//! `scripts/amd.sh` writes the table and the record anew (`VELOGRAD_WRITE_AMD=1`). `VELOGRAD_RADV` names drivers, each a
//! `libvulkan_radeon.so` or the JSON file of one, separated by colons; without it the system's is used.

mod assembly;
mod forms;
mod null_device;
mod verdict;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use velograd::host::files::write_atomically;

use self::{
    forms::{Form, forms},
    null_device::NullDevice,
    verdict::{Judged, Record, faults, table},
};
use crate::folder::Folder;

const TABLE: &str = "benches/results/amd-static.md";
const RECORD: &str = "benches/results/amd-products.json";

/// Names by which RADV knows families of devices, what they are, and the oldest Mesa that compiles for them as it should.
const FAMILIES: [(&str, &str, u64); 2] = [("navi21", "RDNA2", 22), ("navi31", "RDNA3", 25)];

/// What tells a process that it is the one with the null device: where the kernels are.
const KERNELS: &str = "VELOGRAD_AMD_KERNELS";

/// Tells it where to leave the assembly of products.
const ASSEMBLY: &str = "VELOGRAD_AMD_ASSEMBLY";

/// The drivers to ask.
fn drivers() -> Result<Vec<PathBuf>, String> {
    if let Some(named) = env::var_os("VELOGRAD_RADV") {
        let all: Vec<PathBuf> = env::split_paths(&named).collect();
        return match all.iter().find(|path| !path.exists()) {
            Some(missing) => Err(format!("VELOGRAD_RADV names {}, which is not there", missing.display())),
            None => Ok(all),
        };
    }
    let folders = ["/usr/local/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/share/vulkan/icd.d"];
    let files =
        folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten().map(|file| file.path());
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut found: Vec<_> = files.filter(|path| name(path).starts_with("radeon_icd")).collect();
    // Where there is one for each architecture, this one's comes first.
    found.sort_by_key(|path| !name(path).contains(env::consts::ARCH));
    found.truncate(1);
    if found.is_empty() { Err("Mesa's RADV is not installed (Debian: mesa-vulkan-drivers)".into()) } else { Ok(found) }
}

/// Whether table and record are written.
fn writes() -> bool {
    env::var("VELOGRAD_WRITE_AMD").is_ok_and(|value| value == "1")
}

/// A file of the project.
fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// Puts the kernels into a folder, with a list of them.
fn lay_out(folder: &Folder, forms: &BTreeMap<String, Form>) {
    let mut list = vec![];
    for (nth, (name, form)) in forms.iter().enumerate() {
        let (words, bindings) = forms::compile(&form.spec);
        folder.write(&format!("{nth}.spv"), bytemuck::cast_slice(&words));
        list.push(json!({ "name": name, "bindings": bindings, "loop": form.is_product() }));
    }
    folder.write("list.json", &serde_json::to_vec(&list).unwrap());
}

/// What a driver makes of the kernels in a folder, for a family of devices; why it cannot be asked, if it cannot. A process of its own
/// asks, since the loader of Vulkan and the driver read their environment once.
fn ask(driver: &Path, family: &str, folder: &Folder) -> Result<Judged, String> {
    let file = match driver.extension().is_some_and(|e| e == "json") {
        true => driver.to_owned(),
        false => {
            let library = fs::canonicalize(driver).map_err(|fault| format!("{}: {fault}", driver.display()))?;
            let icd = json!({ "library_path": library, "api_version": "1.3.0" });
            let text = json!({ "file_format_version": "1.0.0", "ICD": icd }).to_string();
            folder.write("radeon.json", text.as_bytes())
        }
    };
    // Libraries that come with the driver lie beside it.
    let beside = driver.parent().unwrap_or(Path::new("/")).to_owned();
    let known = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let paths = [beside].into_iter().chain(env::split_paths(&known));
    let mut command = Command::new(env::current_exe().unwrap());
    if writes() {
        let kept =
            path("target/amd").join(format!("{family}-{:08x}", crc32fast::hash(driver.as_os_str().as_encoded_bytes())));
        fs::create_dir_all(&kept).unwrap();
        command.env(ASSEMBLY, kept);
    }
    let output = command
        .args(["--exact", "amd::compiles_for_a_null_device", "--ignored", "--nocapture"])
        .env(KERNELS, &folder.0)
        .env("VK_DRIVER_FILES", &file)
        .env("VK_ICD_FILENAMES", &file)
        .env("LD_LIBRARY_PATH", env::join_paths(paths).unwrap())
        .env("RADV_FORCE_FAMILY", family)
        .env("MESA_SHADER_CACHE_DISABLE", "true")
        .env("NODEVICE_SELECT", "1") // a layer of Mesa's that asks for a display
        .env_remove("RADV_DEBUG")
        .env_remove("RADV_PERFTEST")
        .env_remove("VK_INSTANCE_LAYERS")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} for {family}: {said}", driver.display());
    let told: Value = serde_json::from_slice(&fs::read(folder.0.join("told.json")).unwrap()).unwrap();
    match told["refused"].as_str() {
        Some(reason) => Err(format!("{} for {family}: {reason}", driver.display())),
        None => Ok(Judged::read(family, &told)),
    }
}

/// The part of the test below that has a process of its own; it fails if it is run without that.
#[test]
#[ignore = "run by the next test"]
fn compiles_for_a_null_device() {
    let folder = PathBuf::from(env::var_os(KERNELS).expect("the next test runs this one"));
    let list: Value = serde_json::from_slice(&fs::read(folder.join("list.json")).unwrap()).unwrap();
    let told = match NullDevice::open() {
        Err(reason) => json!({ "refused": reason }),
        Ok(device) => {
            let one = |(nth, form): (usize, &Value)| {
                let words = fs::read(folder.join(format!("{nth}.spv"))).unwrap();
                let words: Vec<u32> = bytemuck::pod_collect_to_vec(&words);
                let bindings: Vec<(u32, bool)> = serde_json::from_value(form["bindings"].clone()).unwrap();
                let compiled = device.compile(&words, &bindings).unwrap_or_else(|fault| panic!("{form}: {fault}"));
                let product = form["loop"] == true;
                if let (true, Some(kept)) = (product, env::var_os(ASSEMBLY)) {
                    let name = form["name"].as_str().unwrap().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
                    fs::write(Path::new(&kept).join(name + ".s"), &compiled.assembly).unwrap();
                }
                let body = product.then(|| assembly::product_loop(&compiled.assembly)).flatten();
                let body = body.map(|body| [body.multiply_adds, body.instructions]);
                json!({ "name": form["name"], "statistics": compiled.statistics, "product": product, "loop": body })
            };
            let forms: Vec<_> = list.as_array().unwrap().iter().enumerate().map(one).collect();
            json!({ "driver": device.driver, "forms": forms })
        }
    };
    fs::write(folder.join("told.json"), told.to_string()).unwrap();
}

#[test]
fn amds_compiler_finds_no_spill_and_full_product_loops() {
    let required = env::var("VELOGRAD_REQUIRE_AMD").is_ok_and(|value| value == "1");
    let skip = |reason: &str| {
        assert!(!required, "VELOGRAD_REQUIRE_AMD=1, and AMD's compiler cannot be asked: {reason}");
        println!("skipped: AMD's compiler: {reason}");
    };
    let drivers = match drivers() {
        Ok(drivers) => drivers,
        Err(reason) => return skip(&reason),
    };
    let (folder, forms) = (Folder::new("amd"), forms());
    lay_out(&folder, &forms);
    let mut all: Vec<Judged> = vec![];
    for driver in &drivers {
        for (family, generation, oldest) in FAMILIES {
            if all.last().is_some_and(|judged| judged.major() < oldest) {
                println!("skipped: {generation}, for which Mesa is too old: {}", driver.display());
                continue;
            }
            match ask(driver, family, &folder) {
                Ok(judged) => all.push(judged),
                Err(reason) => return skip(&reason),
            }
        }
    }
    if writes() {
        write_atomically(&path(TABLE), table(&forms, &all).as_bytes()).unwrap();
        write_atomically(&path(RECORD), Record::of(&all).to_string().as_bytes()).unwrap();
    }
    let record = Record::read(&fs::read_to_string(path(RECORD)).unwrap());
    let faults: Vec<String> = all.iter().flat_map(|judged| faults(judged, &record)).collect();
    println!("{} forms on {} devices", forms.len(), all.len());
    assert!(forms.len() > 200, "only {} forms", forms.len());
    assert!(faults.is_empty(), "{}\n(scripts/amd.sh writes {TABLE} and {RECORD})", faults.join("\n"));
}
