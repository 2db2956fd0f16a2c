//! Runs an optimizer alone, on parameters and gradients that the caller gives. The example `replay_trace` and the tests
//! use it.

use super::{
    Clip, Optimizer, Trial, Updates, begin_evaluation, end_evaluation, inert, record, record_evaluation, start,
};
use crate::{
    device::{Gpu, runtime::Runtime},
    error::{Error, Result},
    program::{
        BufferKind, Tape,
        params::{Init, Layout, Segment, Shape},
        step::Report,
        target::Target,
    },
};

/// Parameters on a device, and the optimizer that updates them.
pub struct Stepper {
    runtime: Runtime,
    layout: Layout,
    optimizer: Box<dyn Optimizer>,
    updates: Updates,
    lr: Option<f64>,
    /// Number of updates that the device has skipped, including those whose reports were dropped.
    skipped: u32,
    /// Number of further reports to drop.
    unread: u32,
    kernels: Vec<(String, String)>,
    evaluation: bool,
}

/// The state of a [`Stepper`] at some update.
pub struct Snapshot {
    buffers: Vec<(BufferKind, Vec<u32>)>,
    updates: Updates,
    skipped: u32,
}

impl Stepper {
    /// Uploads the parameters to the device. Each tensor is a flat list of values; rules with norms per tensor take one
    /// norm of each list.
    ///
    /// # Errors
    /// [`Error::Config`] if there is no tensor, one is empty, or [`try_out`] refuses the rule; [`Error::Device`] if
    /// they do not fit.
    pub async fn new(gpu: &Gpu, optimizer: Box<dyn Optimizer>, params: &[Vec<f32>]) -> Result<Self> {
        Self::on_target(gpu, &gpu.target, optimizer, params).await
    }

    /// [`Stepper::new`] with the kernels that `target` chooses.
    ///
    /// # Errors
    /// As [`Stepper::new`].
    pub async fn on_target(
        gpu: &Gpu,
        target: &Target,
        optimizer: Box<dyn Optimizer>,
        params: &[Vec<f32>],
    ) -> Result<Self> {
        let dims: Vec<_> = params.iter().map(|values| vec![values.len()]).collect();
        Self::shaped(gpu, target, optimizer, &dims, params).await
    }

    /// [`Stepper::on_target`] with PyTorch's dimensions of each tensor ([`Shape::of`]), for rules that treat matrices
    /// differently; values are in PyTorch's order.
    ///
    /// # Errors
    /// As [`Stepper::new`], and [`Error::Config`] if dimensions and values disagree.
    pub async fn shaped(
        gpu: &Gpu,
        target: &Target,
        optimizer: Box<dyn Optimizer>,
        dims: &[Vec<usize>],
        params: &[Vec<f32>],
    ) -> Result<Self> {
        Self::excluding(gpu, target, optimizer, dims, params, &[]).await
    }

    /// [`Stepper::shaped`] without weight decay for the tensors whose indices are in `left_out`.
    ///
    /// # Errors
    /// As [`Stepper::shaped`].
    pub async fn excluding(
        gpu: &Gpu,
        target: &Target,
        optimizer: Box<dyn Optimizer>,
        dims: &[Vec<usize>],
        params: &[Vec<f32>],
        left_out: &[usize],
    ) -> Result<Self> {
        if params.is_empty() || dims.len() != params.len() {
            let message = format!("there are {} parameters, and dimensions of {}", params.len(), dims.len());
            return Err(Error::config(message, ""));
        }
        let mut layout = Layout::default();
        for (i, (dims, values)) in dims.iter().zip(params).enumerate() {
            let shape = Shape::of(dims).filter(|shape| shape.elements() == values.len());
            let wrong = || Error::config(format!("parameter {i} of {dims:?} has {} elements", values.len()), "");
            layout.param(i.to_string(), shape.ok_or_else(wrong)?, Init::Constant(0.0), !left_out.contains(&i));
        }
        Self::over(gpu, target, optimizer, layout, params).await
    }

    /// [`Stepper::on_target`] over the layout of a network, for rules that depend on the names of layers.
    ///
    /// # Errors
    /// [`Error::Device`] if it does not fit, [`Error::Config`] for a rule that [`try_out`] refuses.
    ///
    /// # Panics
    /// If the tensors' lengths are not those of the layout.
    pub async fn over(
        gpu: &Gpu,
        target: &Target,
        optimizer: Box<dyn Optimizer>,
        layout: Layout,
        params: &[Vec<f32>],
    ) -> Result<Self> {
        let expected: Vec<_> = layout.params.iter().map(|s| s.shape.elements()).collect();
        let found: Vec<_> = params.iter().map(Vec::len).collect();
        assert_eq!(found, expected, "stepper: values for a layout of other sizes");
        try_out(gpu, optimizer.as_ref()).await?;
        Self::laid_out(gpu, target, optimizer, layout, params).await
    }

    async fn laid_out(
        gpu: &Gpu,
        target: &Target,
        optimizer: Box<dyn Optimizer>,
        layout: Layout,
        params: &[Vec<f32>],
    ) -> Result<Self> {
        let tape = || Tape::over_layout(target, &layout);
        let mut recordings = vec![record(optimizer.as_ref(), Clip::default(), tape())];
        recordings.extend(record_evaluation(optimizer.as_ref(), tape()));
        let mut kernels = Vec::new();
        for call in recordings.iter().flat_map(|recording| &recording.calls) {
            let text = call.spec.to_string();
            let (kernel, form) = text.split_once(' ').unwrap_or((&text, ""));
            let named = (kernel.to_owned(), form.to_owned());
            if !kernels.contains(&named) {
                kernels.push(named);
            }
        }
        let runtime = Runtime::new(gpu, &recordings, true).await?;
        runtime.write(runtime.buffer(&BufferKind::Params), &arena(&layout, params));
        start(optimizer.as_ref(), &runtime, &layout);
        let evaluation = recordings.len() > 1;
        let updates = Updates::default();
        Ok(Self { runtime, layout, optimizer, updates, lr: None, skipped: 0, unread: 0, kernels, evaluation })
    }

    /// Makes one update with these gradients and this loss, and waits for it.
    ///
    /// # Errors
    /// [`Error::Config`] if the gradients' lengths are not the parameters', [`Error::Device`] if the device fails.
    pub async fn step(&mut self, grads: &[Vec<f32>], loss: f32) -> Result<Report> {
        let lens = |list: &[Vec<f32>]| list.iter().map(Vec::len).collect::<Vec<_>>();
        let expected: Vec<_> = self.layout.params.iter().map(|s| s.shape.elements()).collect();
        if lens(grads) != expected {
            let message = format!("gradients of {:?} elements for parameters of {expected:?}", lens(grads));
            return Err(Error::config(message, ""));
        }
        let runtime = &self.runtime;
        runtime.write(runtime.buffer(&BufferKind::Grads), &arena(&self.layout, grads));
        let report = Report { loss, targets: 1, skipped: self.skipped, ..Report::default() };
        runtime.write(runtime.buffer(&BufferKind::Report), &[report]);
        let mut step = self.updates.next(self.optimizer.as_ref(), self.optimizer.lr());
        (step.loss_scale, step.loss_mean) = (1.0, 1.0);
        if let Some(lr) = self.lr {
            step.lr = lr as f32;
        }
        runtime.set_step(&step);
        runtime.run(&[0]).await?;
        let report: Report = runtime.read(runtime.buffer(&BufferKind::Report), 1).await?[0];
        self.skipped = report.skipped;
        if self.unread > 0 {
            self.unread -= 1;
        } else {
            self.updates.heard(&report);
        }
        Ok(report)
    }

    /// Copies parameters, state and counters, for [`Stepper::restore`].
    ///
    /// # Errors
    /// [`Error::Device`] if the device fails.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        let state = self.optimizer.state().into_iter().map(|(name, _)| BufferKind::state(name));
        let mut buffers = Vec::new();
        for kind in std::iter::once(BufferKind::Params).chain(state) {
            let buffer = self.runtime.buffer(&kind);
            let words = self.runtime.read(buffer, buffer.size() as usize / 4).await?;
            buffers.push((kind, words));
        }
        Ok(Snapshot { buffers, updates: self.updates, skipped: self.skipped })
    }

    /// Returns to a snapshot of this stepper.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        for (kind, words) in &snapshot.buffers {
            self.runtime.write(self.runtime.buffer(kind), words);
        }
        (self.updates, self.skipped) = (snapshot.updates, snapshot.skipped);
    }

    /// Sets the learning rate from the next update on, as a schedule does.
    pub fn set_lr(&mut self, lr: f64) {
        self.lr = Some(lr);
    }

    /// Drops the reports of the next `updates`, at most [`IN_FLIGHT`](super::IN_FLIGHT), as in training, where the host
    /// learns of a skipped update some submissions late.
    pub fn drop_reports(&mut self, updates: u32) {
        self.unread = updates;
    }

    /// The path and the form of each kernel of an update, and of those that move the parameters to the point of
    /// evaluation, without repetitions.
    pub fn kernels(&self) -> &[(String, String)] {
        &self.kernels
    }

    /// Reads the current parameters from the device; each tensor is in PyTorch's order.
    ///
    /// # Errors
    /// [`Error::Device`] if the device fails.
    pub async fn params(&self) -> Result<Vec<Vec<f32>>> {
        let flat = self.flat().await?;
        let tensor = |s: &Segment| s.shape.from_stored(&flat[s.offset as usize..][..s.shape.stored() as usize]);
        Ok(self.layout.params.iter().map(tensor).collect())
    }

    /// Reads the arena of the parameters, padding included.
    async fn flat(&self) -> Result<Vec<f32>> {
        self.runtime.read(self.runtime.buffer(&BufferKind::Params), self.layout.param_floats() as usize).await
    }

    /// Reads the parameters to evaluate with. They are those of [`Stepper::params`] unless the rule evaluates at
    /// another point.
    ///
    /// # Errors
    /// [`Error::Device`] if the device fails.
    pub async fn evaluation_params(&self) -> Result<Vec<Vec<f32>>> {
        if !self.evaluation {
            return self.params().await;
        }
        begin_evaluation(&self.runtime, 1);
        let params = self.params().await;
        end_evaluation(&self.runtime);
        params
    }
}

/// Tries a rule from outside the program on parameters without gradients, alone and then beside others that have
/// gradients. It has to leave zeros alone and to keep other values finite. A built-in rule is not tried.
///
/// # Errors
/// [`Error::Config`], naming the rule and what became of a parameter; [`Error::Device`] if the device fails.
pub async fn try_out(gpu: &Gpu, optimizer: &dyn Optimizer) -> Result<()> {
    for Trial { rule, settings, optimizer } in optimizer.trials() {
        let mut stepper = Stepper::laid_out(gpu, &gpu.target, optimizer, inert::layout(), &inert::params()).await?;
        let (start, before) = (stepper.snapshot().await?, stepper.flat().await?);
        for any in [false, true] {
            stepper.restore(&start);
            for (rate, updates) in inert::STAGES {
                stepper.lr = rate;
                for update in 0..updates {
                    stepper.step(&inert::gradients(update, any), 1.0).await?;
                }
                inert::judge((&rule, settings), rate, any, &before, &stepper.flat().await?)?;
            }
        }
    }
    Ok(())
}

fn arena(layout: &Layout, tensors: &[Vec<f32>]) -> Vec<f32> {
    let mut flat = vec![0.0; layout.param_floats() as usize];
    for (segment, values) in layout.params.iter().zip(tensors) {
        let stored = segment.shape.to_stored(values);
        flat[segment.offset as usize..][..stored.len()].copy_from_slice(&stored);
    }
    flat
}
