//! An optimizer alone, on parameters and gradients of one's own: what `replay_trace` and the tests drive.

use super::{Clip, Optimizer, Updates, record, start, state_name};
use crate::{
    error::{Error, Result},
    gpu::{
        Gpu,
        runtime::{Report, Runtime},
        target::Target,
    },
    params::{Init, Layout, Shape},
    tape::Tape,
};

/// Flat parameters on a device under one optimizer.
pub struct Stepper<'a> {
    runtime: Runtime<'a>,
    layout: Layout,
    optimizer: Box<dyn Optimizer>,
    updates: Updates,
    lr: Option<f64>,
    /// On the device, whether or not the host has heard.
    skipped: u32,
    /// Updates more before the host hears.
    deaf: u32,
    kernels: Vec<(String, String)>,
}

/// What a [`Stepper`] was at some update.
pub struct Snapshot {
    buffers: Vec<(String, Vec<u32>)>,
    updates: Updates,
    skipped: u32,
}

impl<'a> Stepper<'a> {
    /// Puts the tensors on the device; each is a flat list of values, and a tensor of its own for per-tensor norms.
    ///
    /// # Errors
    /// [`Error::Config`] for an empty tensor or none, [`Error::Device`] if they do not fit.
    pub fn new(gpu: &'a Gpu, optimizer: Box<dyn Optimizer>, params: &[Vec<f32>]) -> Result<Self> {
        Self::on_target(gpu, &gpu.target, optimizer, params)
    }

    /// As [`Stepper::new`], with kernels in the forms of another device class.
    ///
    /// # Errors
    /// As [`Stepper::new`].
    pub fn on_target(
        gpu: &'a Gpu,
        target: &Target,
        optimizer: Box<dyn Optimizer>,
        params: &[Vec<f32>],
    ) -> Result<Self> {
        let mut layout = Layout::default();
        for (i, values) in params.iter().enumerate() {
            let c = u32::try_from(values.len()).ok().filter(|&c| c > 0);
            let c = c.ok_or_else(|| Error::config(format!("parameter {i} has {} elements", values.len()), ""))?;
            layout.param(i.to_string(), Shape::Vector { c }, Init::Constant(0.0));
        }
        if params.is_empty() {
            return Err(Error::config("there are no parameters", ""));
        }
        let recording = record(optimizer.as_ref(), Clip::default(), Tape::over_layout(target, &layout));
        let kernels = recording
            .calls
            .iter()
            .map(|c| {
                let text = c.spec.to_string();
                let (kernel, form) = text.split_once(' ').unwrap_or((&text, ""));
                (kernel.to_owned(), form.to_owned())
            })
            .collect();
        let runtime = Runtime::new(gpu, &[recording], true)?;
        runtime.write(runtime.buffer("params"), &arena(&layout, params));
        start(optimizer.as_ref(), &runtime, &layout);
        Ok(Self { runtime, layout, optimizer, updates: Updates::default(), lr: None, skipped: 0, deaf: 0, kernels })
    }

    /// One update with these gradients and this loss; waits for it.
    ///
    /// # Errors
    /// [`Error::Config`] if the gradients are not shaped as the parameters, [`Error::Device`] on a fault.
    pub fn step(&mut self, grads: &[Vec<f32>], loss: f32) -> Result<Report> {
        let lens = |list: &[Vec<f32>]| list.iter().map(Vec::len).collect::<Vec<_>>();
        let expected: Vec<_> = self.layout.params.iter().map(|s| s.shape.elements()).collect();
        if lens(grads) != expected {
            let message = format!("gradients of {:?} elements for parameters of {expected:?}", lens(grads));
            return Err(Error::config(message, ""));
        }
        let runtime = &self.runtime;
        runtime.write(runtime.buffer("grads"), &arena(&self.layout, grads));
        let report = Report { loss, images: 1, skipped: self.skipped, ..Report::default() };
        runtime.write(runtime.buffer("report"), &[report]);
        let mut step = self.updates.next(self.optimizer.as_ref(), self.optimizer.lr());
        step.loss_scale = 1.0;
        if let Some(lr) = self.lr {
            step.lr = lr as f32;
        }
        runtime.set_step(&step);
        runtime.run(&[0])?;
        let report: Report = runtime.read(runtime.buffer("report"), 1)?[0];
        self.skipped = report.skipped;
        if self.deaf > 0 {
            self.deaf -= 1;
        } else {
            self.updates.heard(&report);
        }
        Ok(report)
    }

    /// Parameters, state and counters as they are, for [`Stepper::restore`].
    ///
    /// # Errors
    /// [`Error::Device`] on a fault.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let names = self.optimizer.state().into_iter().map(|(name, _)| state_name(name));
        let read = |name: String| {
            let buffer = self.runtime.buffer(&name);
            Ok((name, self.runtime.read(buffer, buffer.size() as usize / 4)?))
        };
        let buffers = std::iter::once("params".to_owned()).chain(names).map(read).collect::<Result<_>>()?;
        Ok(Snapshot { buffers, updates: self.updates, skipped: self.skipped })
    }

    /// Goes back to a snapshot of this stepper.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        for (name, words) in &snapshot.buffers {
            self.runtime.write(self.runtime.buffer(name), words);
        }
        (self.updates, self.skipped) = (snapshot.updates, snapshot.skipped);
    }

    /// The learning rate from the next update on: how a schedule is replayed.
    pub fn set_lr(&mut self, lr: f64) {
        self.lr = Some(lr);
    }

    /// Lets the next updates go unheard, at most [`IN_FLIGHT`](super::IN_FLIGHT) of them: in training the host hears of a
    /// skip some submissions late.
    pub fn deafen(&mut self, updates: u32) {
        self.deaf = updates;
    }

    /// Path and form of each kernel of an update.
    pub fn kernels(&self) -> &[(String, String)] {
        &self.kernels
    }

    /// The parameters now.
    ///
    /// # Errors
    /// [`Error::Device`] on a fault.
    pub fn params(&self) -> Result<Vec<Vec<f32>>> {
        let len = self.layout.param_floats() as usize;
        let flat: Vec<f32> = self.runtime.read(self.runtime.buffer("params"), len)?;
        let tensor = |s: &crate::params::Segment| flat[s.offset as usize..][..s.shape.elements()].to_vec();
        Ok(self.layout.params.iter().map(tensor).collect())
    }
}

fn arena(layout: &Layout, tensors: &[Vec<f32>]) -> Vec<f32> {
    let mut flat = vec![0.0; layout.param_floats() as usize];
    for (segment, values) in layout.params.iter().zip(tensors) {
        flat[segment.offset as usize..][..values.len()].copy_from_slice(values);
    }
    flat
}
