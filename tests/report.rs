//! `report.html` in a browser, without a network.

use std::{fs, process::Command};

use crate::{
    folder::{Folder, records},
    support::gpu,
};

/// A browser, if there is one; otherwise a line says so, or the test fails if VELOGRAD_REQUIRE_BROWSER=1.
fn browser() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = names.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok());
    if found.is_none() {
        let required = std::env::var("VELOGRAD_REQUIRE_BROWSER").is_ok_and(|value| value == "1");
        assert!(!required, "VELOGRAD_REQUIRE_BROWSER=1, and there is none of {names:?}");
        println!("skipped: there is none of {names:?}");
    }
    found
}

#[test]
fn the_page_stands_alone_and_shows_its_figures() {
    let (Some(_), Some(browser)) = (gpu(), browser()) else { return };
    let folder = Folder::new("report");
    folder.write("data_batch_1.bin", &records(60));
    folder.write("test_batch.bin", &records(20));
    let compare = ["compare", "--data", ".", "--width", "4", "--batch-size", "16", "--epochs", "4", "--seeds", "2"];
    folder.works(&[&compare[..], &["--optimizers", "velograd,adam", "--out", "cmp"]].concat());
    let page = folder.0.join("cmp/report.html");
    let html = fs::read_to_string(&page).unwrap();
    let namespaces = html.matches("http://www.w3.org/2000/svg").count();
    assert_eq!(html.matches("://").count(), namespaces, "the page names addresses");
    for tag in ["<script", "<link", "<img", "@import", "url("] {
        assert!(!html.contains(tag), "the page has {tag}");
    }

    let picture = folder.0.join("page.png");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--window-size=1400,1800", &format!("--user-data-dir={}", folder.0.join("profile").display())])
        .args([&format!("--screenshot={}", picture.display()), &format!("file://{}", page.display())])
        .output()
        .unwrap();
    assert!(picture.is_file(), "{}", String::from_utf8_lossy(&output.stderr));
    let pixels = image::open(&picture).unwrap().to_rgb8();
    // Both optimizers' colours are in lines and names, and text is black.
    for (colour, least) in [([0x00, 0x72, 0xb2], 500), ([0xd5, 0x5e, 0x00], 500), ([0x22, 0x22, 0x22], 1000)] {
        let found = pixels.pixels().filter(|p| p.0 == colour).count();
        assert!(found >= least, "{found} pixels of {colour:?}");
    }
}
