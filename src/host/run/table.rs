//! `steps.csv` and `metrics.csv`: the rows of the logs as tables with a column per value.

use std::path::Path;

use serde_json::Value;

use super::{
    appended::Appended,
    log::{Row, for_each_row},
};
use crate::{error::Result, host::files::write_atomically};

/// The columns of `steps.csv`: the fields of [`StepRow`](crate::training::StepRow).
pub(super) const OF_UPDATES: &[&str] = &["step", "epoch", "loss", "lr", "grad_norm", "clipped", "skipped", "scale"];

/// The columns of `metrics.csv`: the fields of [`EpochRow`](crate::training::EpochRow).
pub(super) const OF_EPOCHS: &[&str] = &[
    "epoch",
    "train_loss",
    "train_acc",
    "val_loss",
    "val_acc",
    "val_top5",
    "val_f1",
    "val_precision",
    "val_recall",
    "seconds",
    "images_per_second",
];

/// A table that grows by rows.
pub(super) struct Table {
    file: Appended,
    columns: &'static [&'static str],
}

impl Table {
    /// Writes the table of the rows that a log has so far, beside the log. A run that is resumed so gets the rows that its
    /// checkpoint relies on, whatever the table held before.
    pub(super) fn of(log: &Path, columns: &'static [&'static str]) -> Result<Self> {
        let path = log.with_extension("csv");
        let mut text = line(columns.iter().map(|name| (*name).to_owned()));
        for_each_row(log, |row| {
            text.extend(line(cells(columns, &row)));
            Ok(())
        })?;
        write_atomically(&path, &text)?;
        let file = Appended::open(&path, |_| Ok(text.len() as u64))?;
        Ok(Self { file, columns })
    }

    pub(super) fn row(&mut self, row: &Row) -> Result<()> {
        self.file.append(&line(cells(self.columns, row)))
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync()
    }
}

/// The cells of a row, written as in its line of JSON; what the line lacks, and null, are empty.
fn cells(columns: &[&str], row: &Row) -> impl Iterator<Item = String> {
    columns.iter().map(|name| match row.get(*name) {
        None | Some(Value::Null) => String::new(),
        Some(value) => value.to_string(),
    })
}

fn line(cells: impl Iterator<Item = String>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells).expect("memory takes every cell");
    writer.into_inner().expect("memory takes every line")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::training::{EpochRow, StepRow};

    /// A row with all its fields has exactly the columns of the table, in their order.
    #[test]
    fn the_columns_are_the_fields_of_the_rows() {
        let [loss, grad_norm, scale] = [2.125_f32, 0.1, 65536.0];
        let full =
            StepRow { step: 7, epoch: 2, loss, lr: 1e-3, grad_norm, clipped: true, skipped: true, scale: Some(scale) };
        let names = |row: &Value| row.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&json!(full)), OF_UPDATES);
        let epoch = EpochRow {
            epoch: 1,
            train_loss: f64::NAN,
            train_acc: 10.0,
            val_loss: Some(1.5),
            val_acc: None,
            val_top5: None,
            val_f1: None,
            val_precision: None,
            val_recall: None,
            seconds: 0.25,
            images_per_second: 64.0,
        };
        assert_eq!(names(&json!(epoch)), OF_EPOCHS);

        let text = |columns, row: String| {
            String::from_utf8(line(cells(columns, &serde_json::from_str(&row).unwrap()))).unwrap()
        };
        let of = |row: StepRow| text(OF_UPDATES, serde_json::to_string(&row).unwrap());
        assert_eq!(of(full), "7,2,2.125,0.001,0.1,true,true,65536.0\n");
        let bare = StepRow { loss: f32::INFINITY, clipped: false, skipped: false, scale: None, ..full };
        assert_eq!(of(bare), "7,2,,0.001,0.1,,,\n");
        assert_eq!(text(OF_EPOCHS, serde_json::to_string(&epoch).unwrap()), "1,,10.0,1.5,,,,,,0.25,64.0\n");
    }
}
