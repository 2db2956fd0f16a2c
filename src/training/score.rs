//! What a run is judged by: the accuracy of a network for images, and the validation loss of a network for text. Which it is, its
//! unit, which direction is better and how it is written is decided here, for tables, figures, sentences and the choice of a
//! checkpoint.

use serde_json::Value;

use super::{
    metrics::{bits, perplexity},
    rows::EpochRow,
};
use crate::{
    data::{Dataset, vocabulary},
    models,
};

/// What runs are judged by and compared by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Score {
    /// The accuracy on the validation images, in percent; more is better.
    #[default]
    Accuracy,
    /// The mean cross-entropy of the validation's targets, in nats for each; less is better.
    Loss(Per),
}

/// What a loss is the mean over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Characters of a text.
    Character,
    /// Bytes of a text.
    Byte,
    /// Words of a text, or pieces of words.
    Token,
    /// Tokens that are hidden from a masked language model. Their loss is no length of a code of the text, and so it is not given in
    /// bits per character.
    Hidden,
}

/// A number that a validation gives.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// What it is called in files.
    pub key: &'static str,
    /// What it is called in a sentence.
    pub name: &'static str,
    /// The title of a column of it.
    pub column: &'static str,
    /// The title of a figure of it.
    pub title: &'static str,
    /// The label of an axis of it.
    pub unit: &'static str,
    /// Digits behind the point.
    pub digits: usize,
    /// Its value in an epoch, if the epoch was validated.
    pub of: fn(&EpochRow) -> Option<f64>,
}

const ACCURACY: Measure = Measure {
    key: "accuracy",
    name: "accuracy",
    column: "accuracy %",
    title: "Validation accuracy",
    unit: "percent",
    digits: 2,
    of: |row| row.val_acc,
};

const PERPLEXITY: Measure = Measure {
    key: "perplexity",
    name: "perplexity",
    column: "perplexity",
    title: "Perplexity",
    unit: "exp of the validation loss",
    digits: 2,
    of: |row| row.val_loss.map(perplexity),
};

const BITS_PER_CHARACTER: Measure = Measure {
    key: "bits_per_character",
    name: "bits per character",
    column: "bits per character",
    title: "Bits per character",
    unit: "of the validation text",
    digits: 4,
    of: |row| row.val_loss.map(bits),
};

const BITS_PER_BYTE: Measure = Measure {
    key: "bits_per_byte",
    name: "bits per byte",
    column: "bits per byte",
    title: "Bits per byte",
    ..BITS_PER_CHARACTER
};

impl Measure {
    const fn loss(unit: &'static str) -> Self {
        let (name, title) = ("validation loss", "Validation loss");
        Self { key: "val_loss", name, column: name, title, unit, digits: 4, of: |row| row.val_loss }
    }

    /// A value of it with its usual digits, and `%` if it is a percentage; `-` if there is none.
    pub fn text(&self, value: Option<f64>) -> String {
        let percent = if self.unit == ACCURACY.unit { " %" } else { "" };
        value.map_or("-".into(), |value| format!("{value:.*}{percent}", self.digits))
    }
}

impl Per {
    /// What a token of a vocabulary with these entries is.
    fn of(entries: &[String], hidden: bool) -> Self {
        match vocabulary::unit(entries) {
            _ if hidden => Self::Hidden,
            "character" => Self::Character,
            "byte" => Self::Byte,
            _ => Self::Token,
        }
    }

    /// The loss as it is compared with that of other texts: in bits where a target is a character or a byte, and otherwise as the
    /// perplexity.
    fn reading(self) -> Measure {
        match self {
            Self::Character => BITS_PER_CHARACTER,
            Self::Byte => BITS_PER_BYTE,
            Self::Token | Self::Hidden => PERPLEXITY,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Character => "nats per character",
            Self::Byte => "nats per byte",
            Self::Token => "nats per token",
            Self::Hidden => "nats per hidden token",
        }
    }
}

impl Score {
    /// What runs on a data set are judged by.
    pub fn of(dataset: &dyn Dataset) -> Self {
        let spec = dataset.spec();
        match spec.input.tokens() {
            None => Self::Accuracy,
            Some(_) => Self::Loss(Per::of(&spec.classes, dataset.masking().is_some())),
        }
    }

    /// What a run is judged by, as its `run.json` says.
    pub fn of_run(run: &Value) -> Self {
        if run["tokens"].is_null() {
            return Self::Accuracy;
        }
        let hidden = models::ALL.iter().any(|model| model.masked && run["model"] == model.name);
        let entries = run["dataset"]["classes"].as_array().into_iter().flatten();
        let entries: Vec<String> = entries.filter_map(|entry| Some(entry.as_str()?.to_owned())).collect();
        Self::Loss(Per::of(&entries, hidden))
    }

    /// The number itself.
    pub fn measure(self) -> Measure {
        match self {
            Self::Accuracy => ACCURACY,
            Self::Loss(per) => Measure::loss(per.unit()),
        }
    }

    /// The loss of a text in bits per character or byte, or as its perplexity.
    pub fn reading(self) -> Option<Measure> {
        match self {
            Self::Accuracy => None,
            Self::Loss(per) => Some(per.reading()),
        }
    }

    /// What a table has of a validation: the number itself first.
    pub fn columns(self) -> Vec<Measure> {
        match self {
            Self::Accuracy => vec![ACCURACY],
            Self::Loss(per) => vec![self.measure(), per.reading(), ACCURACY],
        }
    }

    /// The number in an epoch, if the epoch was validated.
    pub fn value(self, row: &EpochRow) -> Option<f64> {
        (self.measure().of)(row)
    }

    /// The best number of several epochs.
    pub fn best(self, rows: &[EpochRow]) -> Option<f64> {
        let values = rows.iter().filter_map(|row| self.value(row)).filter(|value| value.is_finite());
        values.reduce(|best, value| if self.is_better(value, best) { value } else { best })
    }

    /// Whether `a` is better than `b`.
    pub fn is_better(self, a: f64, b: f64) -> bool {
        self.gain(a, b) > 0.0
    }

    /// By how much `a` is better than `b`; negative if it is worse.
    pub fn gain(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Accuracy => a - b,
            Self::Loss(_) => b - a,
        }
    }

    /// How much worse than the best still counts as good: two percentage points, or 0.05 nats, which are five percent of the
    /// perplexity.
    pub fn near(self) -> f64 {
        match self {
            Self::Accuracy => 2.0,
            Self::Loss(_) => 0.05,
        }
    }

    /// What a difference of two values is counted in.
    pub fn step(self) -> &'static str {
        match self {
            Self::Accuracy => "points",
            Self::Loss(_) => "nats",
        }
    }

    /// A value with its usual digits, without a unit.
    pub fn number(self, value: f64) -> String {
        format!("{value:.*}", self.measure().digits)
    }

    /// A value in a table or behind its name: `97.05 %` or `1.2345`.
    pub fn text(self, value: f64) -> String {
        self.measure().text(Some(value))
    }

    /// A value on its own: `97.05 %`, or `loss 1.2345, bits per character 1.7810`.
    pub fn words(self, value: f64) -> String {
        let Self::Loss(per) = self else { return self.text(value) };
        let Measure { name, digits, .. } = per.reading();
        let read = match per {
            Per::Character | Per::Byte => bits(value),
            Per::Token | Per::Hidden => perplexity(value),
        };
        format!("loss {}, {name} {read:.digits$}", self.text(value))
    }

    /// One of it, in a sentence.
    pub fn one(self) -> &'static str {
        match self {
            Self::Accuracy => "an accuracy",
            Self::Loss(_) => "a validation loss",
        }
    }

    /// A value that is to be reached: `45 %` or `loss 1.5`.
    pub fn goal(self, value: f64) -> String {
        match self {
            Self::Accuracy => format!("{value} %"),
            Self::Loss(_) => format!("loss {value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::data::Vocabulary;

    fn row(accuracy: f64, loss: f64) -> EpochRow {
        let row = json!({ "epoch": 1, "train_loss": 1.0, "train_acc": 1.0, "val_loss": loss, "val_acc": accuracy,
                          "seconds": 1.0, "images_per_second": 1.0 });
        serde_json::from_value(row).unwrap()
    }

    /// A run of text is judged by its loss, whose unit is that of its tokens; a run of images, and one of before text, by its accuracy.
    #[test]
    fn a_run_tells_what_it_is_judged_by() {
        let run = |model: &str, vocabulary: &Vocabulary| json!({ "model": model, "tokens": { "length": 4, "vocabulary": 9 }, "dataset": { "classes": vocabulary.entries() } });
        let characters = Vocabulary::characters(&["zoë\n"]).unwrap();
        let words = Vocabulary::words(&["zoë saw\n"]).unwrap();
        for (run, score, unit, reading) in [
            (json!({}), Score::Accuracy, "percent", None),
            (json!({ "image": { "width": 32 } }), Score::Accuracy, "percent", None),
            (run("gpt", &characters), Score::Loss(Per::Character), "nats per character", Some("bits per character")),
            (run("lstm", &Vocabulary::bytes()), Score::Loss(Per::Byte), "nats per byte", Some("bits per byte")),
            (run("gpt", &words), Score::Loss(Per::Token), "nats per token", Some("perplexity")),
            (run("bert", &characters), Score::Loss(Per::Hidden), "nats per hidden token", Some("perplexity")),
        ] {
            let found = Score::of_run(&run);
            assert_eq!((found, found.measure().unit, found.reading().map(|r| r.name)), (score, unit, reading), "{run}");
        }
    }

    /// More accuracy and less loss are better, whatever the other says; what is not finite is never the best.
    #[test]
    fn the_best_epoch_has_the_most_accuracy_or_the_least_loss() {
        let rows = [row(50.0, 1.0), row(60.0, 2.0), row(70.0, f64::NAN), row(55.0, 0.5), row(40.0, 0.75)];
        let loss = Score::Loss(Per::Character);
        assert_eq!((Score::Accuracy.best(&rows), loss.best(&rows)), (Some(70.0), Some(0.5)));
        assert_eq!((Score::Accuracy.best(&[]), loss.best(&rows[2..3])), (None, None));
        assert!(loss.is_better(1.0, 2.0) && !loss.is_better(1.0, 1.0) && Score::Accuracy.is_better(2.0, 1.0));
    }

    /// Two bits are a loss of 2 ln 2, and a perplexity of 4.
    #[test]
    fn values_in_words() {
        let loss = 2.0 * std::f64::consts::LN_2;
        let words = [Per::Character, Per::Byte, Per::Token].map(|per| Score::Loss(per).words(loss));
        let read = ["bits per character 2.0000", "bits per byte 2.0000", "perplexity 4.00"];
        assert_eq!(words, read.map(|read| format!("loss 1.3863, {read}")));
        assert_eq!(Score::Accuracy.words(97.054), "97.05 %");
        let columns = |score: Score| {
            score
                .columns()
                .iter()
                .map(|m| format!("{} {}", m.key, m.text((m.of)(&row(50.0, loss)))))
                .collect::<Vec<_>>()
        };
        assert_eq!(columns(Score::Accuracy), ["accuracy 50.00 %"]);
        let text = ["val_loss 1.3863", "bits_per_byte 2.0000", "accuracy 50.00 %"];
        assert_eq!(columns(Score::Loss(Per::Byte)), text);
        assert_eq!([Score::Accuracy.goal(45.0), Score::Loss(Per::Byte).goal(1.5)], ["45 %", "loss 1.5"]);
    }
}
