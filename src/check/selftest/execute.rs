//! Runs a case with buffers full of NaNs and guard words behind their contents.

use std::{collections::HashMap, ops::Range};

use super::{
    At, Case, Data, Port,
    outcome::{Key, Memory, Outcome},
    port::{Wire, Word},
};
use crate::{
    device::{DeviceBuffer, Gpu, runtime::Runtime},
    error::Result,
    ops,
    program::{
        Buffer, Recording, Slot, Tape, Tensor,
        plan::Plan,
        shader::Access,
        target::{Precision, Target},
    },
};

/// The content of every word that the case does not set: a recognizable NaN, and two NaNs as f16.
const POISON: u32 = 0x7fc5_7e1e;

/// Bytes behind the contents of every buffer: a tile's row that is stored too far lands in them.
const GUARD: u64 = 4096;

/// Runs a case on these inputs. Outputs in persistent buffers start from zero, unless the inputs say otherwise.
///
/// # Errors
/// [`crate::error::Error::Device`] if the device cannot run it.
pub async fn execute(gpu: &Gpu, target: &Target, case: &dyn Case, data: &Data) -> Result<Outcome> {
    let (mut recording, wires) = wire(target, case);
    recording.buffers.iter_mut().for_each(|(_, bytes)| *bytes += GUARD);
    // Without sharing, inputs and intermediate results are still there afterwards.
    let mut plan = Plan::new([&recording], false);
    plan.pool.iter_mut().for_each(|bytes| *bytes += GUARD);
    let places = Places::new(&recording, &plan);
    widen(&mut recording);
    let recordings = [recording];
    let runtime = Runtime::with_plan(gpu, &recordings, plan).await?;

    let mut memory = places.memory(&runtime);
    fill(&mut memory, (&recordings[0], &places), &wires, data);
    for (key, memory) in &memory {
        runtime.write(places.buffer(key, &runtime), &memory.before);
    }
    runtime.set_step(&case.step());
    runtime.run(&[0]).await?;
    for (key, memory) in &mut memory {
        memory.after = runtime.read(places.buffer(key, &runtime), memory.before.len()).await?;
    }
    let located = |wire: Wire| {
        let (key, first) = places.find(&recordings[0], &wire.slot);
        (wire, key, first)
    };
    Ok(Outcome { wires: wires.into_iter().map(located).collect(), memory })
}

/// The inputs of a case as its buffers on this target hold them: activations are rounded to f16 under mixed precision,
/// and so are weights if the core uses cooperative matrices.
pub(super) fn inputs(target: &Target, case: &dyn Case) -> Data {
    let mut data = case.data();
    for wire in wire(target, case).1 {
        let weight = target.precision == Precision::Mixed && matches!(wire.port.at, At::Param(_));
        let word = if weight && target.matrix.is_some() { Word::F16 } else { wire.word };
        if let Some(values) = data.get_mut(wire.port.name) {
            values.iter_mut().for_each(|value| *value = word.round(*value));
        }
    }
    case.settle(&mut data);
    data
}

/// The names of the ports that a target stores as f16.
pub(super) fn half_ports(target: &Target, case: &dyn Case) -> Vec<&'static str> {
    let half = |wire: &Wire| wire.word == Word::F16;
    wire(target, case).1.into_iter().filter(half).map(|wire| wire.port.name).collect()
}

/// Records a case and finds its buffers. The loss scale is the same in every case whose kernels use it.
fn wire(target: &Target, case: &dyn Case) -> (Recording, Vec<Wire>) {
    let mut tape = Tape::new(target, case.training());
    let mut ports = case.record(&mut tape);
    let recording = tape.finish();
    if recording.buffer(&ops::SCALER).is_some() {
        ports.push(Port::integers("scaler", At::Buffer { kind: ops::SCALER, first: 0, words: 4 }));
    }
    let wires = ports.into_iter().map(|port| Wire::new(&recording, port)).collect();
    (recording, wires)
}

/// Fills tables with their contents, ports with their inputs, and those in persistent buffers that have none with zeros.
fn fill(memory: &mut HashMap<Key, Memory>, (recording, places): (&Recording, &Places), wires: &[Wire], data: &Data) {
    let set = |memory: &mut HashMap<Key, Memory>, wire: &Wire, values: &[f64]| {
        let (key, first) = places.find(recording, &wire.slot);
        let words = &mut memory.get_mut(&key).expect("every slot has memory").before[first..first + wire.words];
        words.fill(0);
        for (&place, &value) in wire.places.iter().zip(values) {
            assert!(wire.word.round(value) == value, "selftest: input {value} of `{}` is not exact", wire.port.name);
            wire.word.set(words, place, value);
        }
    };
    for (kind, values) in &recording.tables {
        let words = &mut memory.get_mut(&Key::Persistent(kind.clone())).expect("every buffer has memory").before;
        words.iter_mut().zip(values()).for_each(|(word, value)| *word = value.to_bits());
    }
    for wire in wires.iter().filter(|wire| matches!(wire.slot, Slot::Buffer { .. })) {
        set(memory, wire, &[]);
    }
    for wire in wires {
        if let Some(values) = data.get(wire.port.name) {
            assert_eq!(values.len(), wire.places.len(), "selftest: `{}` has another size", wire.port.name);
            set(memory, wire, values);
        }
    }
}

/// Extends each bound range of a persistent buffer to what lies behind it, so that a store too far is seen instead of
/// being cut off by the device. Two ranges of one buffer in one call must not overlap, as WebGPU demands.
fn widen(recording: &mut Recording) {
    let lengths: Vec<u64> = recording.buffers.iter().map(|(_, bytes)| *bytes).collect();
    for call in &mut recording.calls {
        let starts: Vec<_> = call.args.iter().filter_map(|(slot, _)| start(slot)).collect();
        for (slot, _) in &mut call.args {
            let Slot::Buffer { buffer, offset, bytes } = slot else { continue };
            let next = starts.iter().filter(|(other, at)| other == buffer && at > offset).map(|(_, at)| *at).min();
            *bytes = next.unwrap_or(lengths[buffer.index()]) - *offset;
        }
    }
}

fn start(slot: &Slot) -> Option<(Buffer, u64)> {
    match slot {
        Slot::Buffer { buffer, offset, .. } => Some((*buffer, *offset)),
        Slot::Tensor(_) => None,
    }
}

/// The buffer of each slot, and the words that calls may write there.
struct Places {
    pool: HashMap<Tensor, usize>,
    /// Ranges of words, per buffer.
    written: HashMap<Key, Vec<Range<usize>>>,
}

impl Places {
    fn new(recording: &Recording, plan: &Plan) -> Self {
        let args = || recording.calls.iter().flat_map(|call| &call.args);
        let tensors = args().filter_map(|(slot, _)| if let Slot::Tensor(t) = slot { Some(*t) } else { None });
        let pool = tensors.filter_map(|t| Some((t, plan.buffer(0, t)?))).collect();
        let mut places = Self { pool, written: HashMap::new() };
        for (kind, _) in &recording.buffers {
            places.written.insert(Key::Persistent(kind.clone()), vec![]);
        }
        for (slot, access) in args() {
            let (key, first) = places.find(recording, slot);
            let words = match slot {
                Slot::Tensor(t) => recording.info(*t).words as usize,
                Slot::Buffer { bytes, .. } => (*bytes / 4) as usize,
            };
            let ranges = places.written.entry(key).or_default();
            if *access == Access::ReadWrite {
                ranges.push(first..first + words);
            }
        }
        places
    }

    /// The buffer of a slot, and its first word there.
    fn find(&self, recording: &Recording, slot: &Slot) -> (Key, usize) {
        match slot {
            Slot::Tensor(t) => (Key::Pool(self.pool[t]), 0),
            Slot::Buffer { buffer, offset, .. } => {
                (Key::Persistent(recording.kind(*buffer).clone()), (*offset / 4) as usize)
            }
        }
    }

    fn buffer<'a>(&self, key: &Key, runtime: &'a Runtime) -> &'a DeviceBuffer {
        match key {
            Key::Persistent(kind) => runtime.buffer(kind),
            Key::Pool(index) => {
                let tensor = self.pool.iter().find(|(_, pool)| *pool == index).expect("a pool buffer has a tensor");
                runtime.tensor(0, *tensor.0)
            }
        }
    }

    /// The memory of all buffers, filled with [`POISON`].
    fn memory(&self, runtime: &Runtime) -> HashMap<Key, Memory> {
        let poisoned = |(key, written): (&Key, &Vec<Range<usize>>)| {
            let words = (self.buffer(key, runtime).size() / 4) as usize;
            (key.clone(), Memory { written: written.clone(), before: vec![POISON; words], after: vec![] })
        };
        self.written.iter().map(poisoned).collect()
    }
}
