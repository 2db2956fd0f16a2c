//! When, where and by which command a run was started, which people want to know months later.

use std::{
    ffi::OsString,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::error::suggest::shell_word;

/// The time in UTC, the host's name and the command line of this process.
pub(super) fn begun() -> Value {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let digits = date_time(seconds); // 2026-01-31-235959
    let (day, time) = digits.split_at(10);
    let command: Vec<String> = std::env::args_os().map(|word| shell_word(Path::new(&word))).collect();
    json!({
        "time": format!("{day} {}:{}:{} UTC", &time[1..3], &time[3..5], &time[5..7]),
        "host": host_name().to_string_lossy(),
        "command": command.join(" "),
    })
}

/// The name of the machine.
#[cfg(not(target_family = "wasm"))]
pub(super) fn host_name() -> OsString {
    gethostname::gethostname()
}

/// A browser does not tell the name of the machine.
#[cfg(target_family = "wasm")]
pub(super) fn host_name() -> OsString {
    "browser".into()
}

/// The date and time in UTC of `seconds` since 1970, as `2026-01-31-235959`, by H. Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>).
pub(super) fn date_time(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468; // days since 0000-03-01
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}-{:02}{:02}{:02}", time / 3600, time / 60 % 60, time % 60)
}

#[cfg(test)]
mod tests {
    use super::date_time;

    #[test]
    fn dates() {
        assert_eq!(date_time(0), "1970-01-01-000000");
        assert_eq!(date_time(951_827_696), "2000-02-29-123456");
        assert_eq!(date_time(1_798_761_599), "2026-12-31-235959");
    }
}
