//! What a launcher of several processes says to each of them, in the environment.

use crate::training::ranks::Rank;

/// This process among those that a launcher started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launched {
    /// The launcher.
    pub by: &'static str,
    /// Which process this is.
    pub rank: Rank,
    /// Which this is of the processes on the same machine.
    pub local: Rank,
}

impl Launched {
    /// No launcher started this process.
    pub const ALONE: Self = Self { by: "nobody", rank: Rank::ALONE, local: Rank::ALONE };

    /// How many threads this process should compute with on the processors of its machine: its share of them, and no more than it may
    /// use.
    pub fn threads(&self) -> usize {
        let share = processors() / self.local.of.max(1);
        share.clamp(1, allowed())
    }

    /// A remark if the launcher has bound this process to one of several processors.
    pub fn bound(&self) -> Option<String> {
        let (allowed, processors) = (allowed(), processors());
        (self.local.has_others() && allowed == 1 && processors > 1).then(|| {
            format!(
                "{} has bound each rank to one of {processors} processors, on which computing and reading take turns: that may take many \
                 times as long; mpirun's `--bind-to none`, or srun's `--cpus-per-task`, leaves more",
                self.by
            )
        })
    }
}

/// The number of processors that this process may use.
fn allowed() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// The number of processors of the machine, or of those that this process may use where that is all that is known.
fn processors() -> usize {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").ok();
    online.and_then(|list| counted(&list)).unwrap_or_else(allowed)
}

/// How many numbers a list like `0-3,6` has.
fn counted(list: &str) -> Option<usize> {
    let count = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((last.parse::<usize>().ok()? + 1).saturating_sub(first.parse().ok()?))
    };
    list.trim().split(',').map(count).sum()
}

/// What the launcher that started this process has said; `None` if there was none.
pub fn launched() -> Option<Launched> {
    by_environment(&|name| std::env::var(name).ok())
}

/// The launchers, with the names of four numbers: the processes and this one among them, those of this machine and this one among
/// them. Open MPI's come first, since its `mpirun` may run within a step of Slurm.
const LAUNCHERS: [(&str, [&str; 4]); 3] = [
    (
        "Open MPI's mpirun",
        ["OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"],
    ),
    ("MPICH's mpirun", ["PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS", "MPI_LOCALRANKID"]),
    ("srun", ["SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_TASKS_PER_NODE", "SLURM_LOCALID"]),
];

fn by_environment(variable: &dyn Fn(&str) -> Option<String>) -> Option<Launched> {
    let number = |name: &str| variable(name)?.trim().parse::<usize>().ok();
    LAUNCHERS.iter().find_map(|(by, [of, index, ..])| {
        let rank = Rank { of: number(of)?, index: number(index)? };
        // `srun --mpi=pmi2` tells the ranks as MPICH does, and those of a node in words of its own.
        let local = LAUNCHERS.iter().find_map(|(_, [_, _, of, index])| {
            let here = || on_this_node(&variable(of)?, number("SLURM_NODEID").unwrap_or(0));
            Some(Rank { of: number(of).or_else(here)?, index: number(index)? })
        });
        let local = local.filter(|local| local.index < local.of).unwrap_or(Rank::ALONE);
        (rank.index < rank.of).then_some(Launched { by, rank, local })
    })
}

/// The tasks of a node by Slurm's list, `4(x2),3`: four on the first two nodes, three on the third.
fn on_this_node(list: &str, node: usize) -> Option<usize> {
    let mut nodes = 0;
    list.split(',').find_map(|part| {
        let (tasks, times) = part.split_once("(x").unwrap_or((part, "1)"));
        nodes += times.trim_end_matches(')').parse::<usize>().ok()?;
        (node < nodes).then(|| tasks.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::{Launched, by_environment, counted, on_this_node};
    use crate::training::ranks::Rank;

    fn of(variables: &[(&str, &str)]) -> Option<Launched> {
        by_environment(&|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn launchers() {
        assert_eq!(of(&[]), None);
        let mpirun = [("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_RANK", "3")];
        let local = [("OMPI_COMM_WORLD_LOCAL_SIZE", "2"), ("OMPI_COMM_WORLD_LOCAL_RANK", "1")];
        let found = of(&[&mpirun[..], &local].concat()).unwrap();
        assert_eq!((found.rank, found.local), (Rank { index: 3, of: 4 }, Rank { index: 1, of: 2 }));
        let slurm = [
            ("SLURM_STEP_NUM_TASKS", "11"),
            ("SLURM_PROCID", "9"),
            ("SLURM_STEP_TASKS_PER_NODE", "4(x2),3"),
            ("SLURM_NODEID", "2"),
            ("SLURM_LOCALID", "1"),
        ];
        let found = of(&slurm).unwrap();
        assert_eq!((found.by, found.rank, found.local), ("srun", Rank { index: 9, of: 11 }, Rank { index: 1, of: 3 }));
        let pmi2 = of(&[&slurm[1..], &[("PMI_SIZE", "11"), ("PMI_RANK", "9")]].concat()).unwrap();
        assert_eq!((pmi2.rank, pmi2.local), (found.rank, found.local));
        assert_eq!(of(&[("PMI_SIZE", "2"), ("PMI_RANK", "2")]), None, "a rank that cannot be");
    }

    #[test]
    fn lists_of_processors() {
        assert_eq!([counted("0-3,6\n"), counted("0"), counted("")], [Some(5), Some(1), None]);
    }

    #[test]
    fn tasks_of_a_node() {
        let of = |node| on_this_node("4(x2),3", node);
        assert_eq!([of(0), of(1), of(2), of(3)], [Some(4), Some(4), Some(3), None]);
        assert_eq!(on_this_node("no list", 0), None);
    }
}
