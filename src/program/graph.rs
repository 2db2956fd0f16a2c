//! The graph of a network: the notes of its ops, checked against the calls that they describe.
//!
//! Ops note what they compute where they record it ([`Tape::note`](super::Tape::note)). A graph that follows the notes and
//! lacks something would compute another network and look right, so whatever calls do and no note tells is an error here.

use std::collections::BTreeSet;

use super::{BufferKind, Call, Node, Recording, Slot, Tensor, params::Segment, shader::Access};
use crate::error::{Error, Result};

impl Recording {
    /// The nodes that lead from the images to the network's [output](Recording::output), each behind those whose results
    /// it reads.
    ///
    /// # Errors
    /// [`Error::Config`] that names the kernel or the parameter that no note tells of: an op that notes nothing, that
    /// reads or changes an activation without saying so, or leaves a parameter out. In training nothing is noted.
    pub fn graph(&self) -> Result<Vec<&Node>> {
        let output = self.output.ok_or_else(|| untold("no tensor is its result".into()))?;
        let (mut wanted, mut used) = (vec![output], BTreeSet::new());
        while let Some(tensor) = wanted.pop() {
            let node = self.nodes.iter().position(|node| node.y == tensor).ok_or_else(|| self.unnoted(tensor))?;
            if used.insert(node) {
                wanted.extend(self.nodes[node].inputs());
            }
        }
        let mut read = BTreeSet::new();
        for &index in &used {
            let node = &self.nodes[index];
            let first = index.checked_sub(1).map_or(0, |before| self.nodes[before].calls);
            self.tells_inputs(node, &self.calls[first..node.calls])?;
            if let Some(call) = self.calls[node.calls..].iter().find(|call| writes(call, node.y)) {
                return Err(untold(format!(
                    "`{}` changes the result of `{}` behind its note",
                    call.spec.path, node.label
                )));
            }
            let params = node.ops.iter().flat_map(|op| op.params());
            read.extend(params.filter_map(|slot| Some(self.segment(slot)?.name.as_str())));
        }
        let mut all = self.layout.params.iter().chain(&self.layout.running);
        match all.find(|segment| !read.contains(segment.name.as_str())) {
            Some(segment) => Err(untold(format!("no note names `{}`", segment.name))),
            None => Ok(used.into_iter().map(|index| &self.nodes[index]).collect()),
        }
    }

    /// The parameter or running statistic that a slot holds.
    pub fn segment(&self, slot: Slot) -> Option<&Segment> {
        let Slot::Buffer { buffer, offset, .. } = slot else { return None };
        let segments = match self.kind(buffer) {
            BufferKind::Params => &self.layout.params,
            BufferKind::Running => &self.layout.running,
            _ => return None,
        };
        segments.iter().find(|segment| u64::from(segment.offset) * 4 == offset)
    }

    /// Checks that the activations which a node's calls read are those that it names.
    fn tells_inputs(&self, node: &Node, calls: &[Call]) -> Result<()> {
        let noted = |tensor: Tensor| self.nodes.iter().find(|other| other.y == tensor && tensor != node.y);
        for call in calls {
            for (slot, _) in &call.args {
                let Slot::Tensor(tensor) = *slot else { continue };
                if let Some(other) = noted(tensor).filter(|_| node.inputs().all(|input| input != tensor)) {
                    let message = format!(
                        "`{}` at `{}` uses the result of `{}`, which its note leaves out",
                        call.spec.path, node.label, other.label
                    );
                    return Err(untold(message));
                }
            }
        }
        Ok(())
    }

    /// The error for a tensor that no note tells of.
    fn unnoted(&self, tensor: Tensor) -> Error {
        let maker = self.calls.iter().rfind(|call| writes(call, tensor));
        let what = maker.map_or("a tensor that nothing writes".to_owned(), |call| {
            format!("what `{}` computes at `{}`", call.spec.path, call.label)
        });
        untold(format!("no note tells {what}"))
    }
}

fn writes(call: &Call, tensor: Tensor) -> bool {
    call.args.contains(&(Slot::Tensor(tensor), Access::ReadWrite))
}

fn untold(message: String) -> Error {
    Error::config(
        format!("this network cannot be described in another format: {message}"),
        "an op's function in src/ops/ says what it computes by `Tape::note`",
    )
}
