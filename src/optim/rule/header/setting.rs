//! Reads the settings in a rule's header.

use toml::{
    Spanned,
    de::{DeString, DeValue},
};

use super::{
    super::Fault,
    INITIAL_LR, MOST, UPDATE,
    reader::{LONGEST, Reader},
};
use crate::settings::{Bound, Kind, Range, Setting};

impl Reader<'_> {
    pub fn setting(&self, key: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>) -> Result<Setting, Fault> {
        const KEYS: [&str; 8] = ["default", "doc", "min", "above", "max", "below", "whole", "words"];
        let name = self.name(key, false)?;
        let table = self.table(value, &format!("setting `{name}`"))?;
        if let Some((key, _)) = table.iter().find(|(key, _)| !KEYS.contains(&&**key.get_ref())) {
            return self.unknown(key, &format!("setting `{name}`"), &KEYS);
        }
        if UPDATE[1..].contains(&name.as_str()) || name == INITIAL_LR {
            return self.fault(key.span().start, format!("`{name}` has a meaning of its own, and can be no setting"));
        }
        let get = |name: &str| table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| *value);
        let at = key.span().start;
        let Some(doc) = get("doc") else { return self.fault(at, format!("setting `{name}` has no `doc = \"...\"`")) };
        let doc = self.string(doc, "doc")?.trim().to_owned();
        if doc.is_empty() || doc.chars().any(char::is_control) {
            return self.fault(at, format!("the doc of `{name}` is a line of text"));
        }
        let only = |allowed: &[&str]| match table.iter().find(|(key, _)| !allowed.contains(&&**key.get_ref())) {
            Some((key, _)) => self.fault(key.span().start, format!("`{}` is for numbers", key.get_ref())),
            None => Ok(()),
        };
        if let Some(value) = get("words") {
            only(&["doc", "words", "default"])?;
            let words = self.words(value)?;
            if let Some(default) = get("default") {
                return self.fault(default.span().start, "the default of a choice is its first word");
            }
            return Ok(Setting { key: name, kind: Kind::Choice { words }, doc });
        }
        let Some(default) = get("default") else { return self.fault(at, format!("setting `{name}` has no default")) };
        if let DeValue::Boolean(flag) = default.get_ref() {
            only(&["doc", "default"])?;
            return Ok(Setting { key: name, kind: Kind::Flag { default: *flag }, doc });
        }
        let bound = |closed: &str, open: &str| match (get(closed), get(open)) {
            (Some(_), Some(open_value)) => {
                self.fault(open_value.span().start, format!("either {closed} or {open}, not both"))
            }
            (Some(value), None) => Ok(Some(Bound::Included(self.number(value, closed)?))),
            (None, Some(value)) => Ok(Some(Bound::Excluded(self.number(value, open)?))),
            (None, None) => Ok(None),
        };
        let range = Range { low: bound("min", "above")?, high: bound("max", "below")? };
        let number = self.number(default, "the default")?;
        let whole = get("whole").map_or(Ok(false), |value| self.flag(value, "whole"))?;
        // The setting is made before its default is checked, since the message states its range.
        let kind = if whole {
            let range = Range { low: range.low.or(Some(Bound::Included(0.0))), ..range };
            Kind::Whole { default: number as u32, range }
        } else {
            Kind::Number { default: number, range }
        };
        let fits = range.contains(number) && (!whole || (number.fract() == 0.0 && (0.0..4.3e9).contains(&number)));
        let setting = Setting { key: name, kind, doc };
        if !fits {
            return self.fault(default.span().start, format!("the default is {}", setting.range()));
        }
        Ok(setting)
    }

    fn words(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, Fault> {
        let at = value.span().start;
        let DeValue::Array(list) = value.get_ref() else {
            return self.fault(at, "words is a list of words, the default first");
        };
        let mut words: Vec<String> = vec![];
        for word in list.iter() {
            let text = self.string(word, "a word")?;
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if text.is_empty() || text.len() > LONGEST || !text.chars().all(plain) || text.contains("__") {
                let message = format!("`{text}`: a word has small letters, digits and single _, at most {LONGEST}");
                return self.fault(word.span().start, message);
            }
            if words.iter().any(|known| known == text) {
                return self.fault(word.span().start, format!("`{text}` is there twice"));
            }
            words.push(text.to_owned());
        }
        if !(2..=MOST).contains(&words.len()) {
            return self.fault(at, format!("words has from 2 to {MOST} words"));
        }
        Ok(words)
    }
}
