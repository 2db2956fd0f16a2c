//! Writes the kernels of a rule under its settings, and checks them if the text came from outside the program.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{
    super::{
        Fault,
        expression::{Expression, Lines},
        header::INITIAL_LR,
        kernel::{self, Parts},
        vet,
    },
    Variant, is_number, known,
};
use crate::{
    error::Result,
    optim::Setting,
    program::{
        shader::{self, Const, Piece, Source, Spec, try_link},
        target::Target,
    },
};

/// The name in errors of the text that is written around a rule.
const LINKER: &str = "the kernel around it";

impl Variant {
    /// Sets the kernels of the update, of the sums and of the numbers that the device keeps.
    pub(super) fn write(&mut self) -> Result<()> {
        let header = &self.file.header;
        let rows: Vec<usize> = self.rows().collect();
        let read = |setting: &&Setting| self.sizes.iter().any(|(name, _)| *name == kernel::setting_field(&setting.key));
        let scalars = header.scalars.iter().enumerate().filter(|(index, _)| self.read[*index]);
        let parts = Parts {
            state: header.state.iter().map(|s| s.name.as_str()).zip(self.state.iter().copied()).collect(),
            measured: self.file.uses.measured.iter().map(String::as_str).collect(),
            settings: header.settings.iter().filter(read).map(|s| s.key.as_str()).collect(),
            scalars: scalars.map(|(index, s)| (s.name.as_str(), rows.iter().position(|row| *row == index))).collect(),
            kept: header.kept.iter().map(|k| k.name.as_str()).zip(self.kept.iter().copied()).collect(),
            weight_decay: self.file.uses.weight_decay,
            over: header.measure,
        };
        let buffers = 4 + self.state.iter().filter(|there| **there).count();
        let buffers = buffers + usize::from(header.measure.is_some()) + usize::from(self.kept.contains(&true));
        if buffers > 8 {
            let message = format!("the rule needs {buffers} storage buffers; every device binds eight");
            let hint = "four are taken; sums take one more, and numbers that the device keeps another";
            return Err(self.file.fault(&Fault::new((1, 1), message).hint(hint)));
        }
        let spec = |suffix: &str, written: String, own: bool| {
            let linker = Piece { file: LINKER.into(), text: written, foreign: false };
            let own = own.then(|| self.file.piece());
            let consts = self.constants.iter().map(|(name, value)| (name.clone().into(), Const::Bool(*value)));
            let source = Some(Arc::new(Source { pieces: std::iter::once(linker).chain(own).collect() }));
            Spec { consts: consts.collect(), source, ..Spec::new(format!("{}{suffix}", self.file.kernel)) }
        };
        let mut lines = Lines::default();
        let next: Vec<String> = self.kept().map(|kept| self.next(&kept.next, &mut lines)).collect();
        let keep = (!next.is_empty()).then(|| spec(".keep", parts.keep(&lines.text, &next), false));
        let measure = header.measure.map(|_| spec(".measure", parts.measure(), true));
        let update = spec("", parts.update(), true);
        (self.update, self.measure, self.keep) = (update, measure, keep);
        if self.file.foreign { self.check() } else { Ok(()) }
    }

    /// Appends to `lines` the statements that compute the next value of a number that the device keeps, and returns the
    /// name of the value.
    fn next(&self, next: &Expression, lines: &mut Lines) -> String {
        let of = |name: &str| {
            let setting = self.file.header.settings.iter().find(|s| s.key == name && name != "lr");
            let decided = name == INITIAL_LR || self.constants.iter().any(|(constant, _)| constant == name);
            match setting {
                Some(setting) if is_number(setting) => format!("settings.{name}"),
                None if !decided => format!("at.{name}"),
                _ => format!("{:e}f", known(&self.settings, &self.constants, name) as f32),
            }
        };
        next.wgsl(&of, lines).expect("the header refused what the device cannot compute")
    }

    /// Links the kernels that contain the rule's functions, and checks what these functions do.
    fn check(&self) -> Result<()> {
        let target = Target::portable();
        for spec in [Some(&self.update), self.measure.as_ref()].into_iter().flatten() {
            let (spec, file) = (target.reducing(spec.clone()), &self.file.file);
            let own = |fault: shader::Fault| match fault.place {
                Some((from, line, column)) if from == *file => Fault::new((line, column), fault.message),
                _ => Fault::new((1, 1), fault.message),
            };
            // If naga panics, that is a fault of naga, and no reason for this program to end.
            let panicked =
                || shader::Fault { place: None, message: "WGSL that naga cannot read".into(), excerpt: String::new() };
            let link = || catch_unwind(AssertUnwindSafe(|| try_link(&spec))).unwrap_or_else(|_| Err(panicked()));
            let looked = || -> std::result::Result<(), Fault> {
                let (lines, declared) = (shader::lines(&spec).map_err(own)?, &self.file.uses.declared);
                vet::names(file, &lines, declared)?;
                vet::module(file, &link().map_err(own)?, &lines, declared)
            };
            looked().map_err(|fault| self.file.fault(&fault))?;
        }
        Ok(())
    }
}
