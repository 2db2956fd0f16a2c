#!/bin/sh
# A whole Slurm on this machine, by hand: no systemd, no cgroups, no database, and nothing outside of one folder.
#
#   cluster.sh start DIR    starts munged, slurmctld and slurmd; returns once the node takes jobs; SLURM_CONF is DIR/slurm.conf
#   cluster.sh stop DIR     cancels what runs, and stops all three by the process ids that they wrote
#
# Needs Debian's slurm-wlm and munge, and root: jobs run as whoever submits them. CONTROL_PORT and NODE_PORT have to be free.
set -eu
PATH=$PATH:/usr/sbin:/sbin

start() {
    mkdir -p "$1/munge" "$1/state" "$1/spool" "$1/log"
    dir=$(realpath "$1")
    host=$(hostname -s)
    chmod 755 "$dir" "$dir/munge" # munged refuses a socket that others cannot reach
    [ -e "$dir/munge/key" ] || (umask 077 && head -c 128 /dev/urandom > "$dir/munge/key")
    # Processes are found by /proc, tasks are not pinned, memory is not enforced. A core and some memory are what a job takes:
    # without DefMemPerCPU the first job would take all memory of the node.
    cat > "$dir/slurm.conf" <<CONF
ClusterName=here
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CredType=cred/munge
SlurmctldPort=$CONTROL_PORT
SlurmdPort=$NODE_PORT
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
MpiDefault=none
SchedulerParameters=sched_min_interval=100000,bf_interval=5
MinJobAge=300
MaxArraySize=${MAX_ARRAY_SIZE:-1001}
KillWait=30
InactiveLimit=0
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=here Nodes=$host Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
CONF
    export SLURM_CONF="$dir/slurm.conf"
    munged --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munge/pid" \
        --log-file="$dir/munge/log" --seed-file="$dir/munge/seed"
    slurmctld -c -f "$SLURM_CONF"
    slurmd -c -f "$SLURM_CONF"
    for _ in $(seq 150); do
        case $(sinfo -h -o %T 2>/dev/null) in idle | mixed | allocated) return 0 ;; esac
        sleep 0.2
    done
    echo "slurm did not come up; its logs are in $dir/log" >&2
    tail -n 5 "$dir"/log/*.log >&2
    return 1
}

stop() {
    dir=$(realpath "$1")
    export SLURM_CONF="$dir/slurm.conf"
    scancel --user="$(id -un)" 2>/dev/null || true
    for _ in $(seq 50); do
        [ -n "$(squeue -h 2>/dev/null)" ] || break
        sleep 0.2
    done
    for file in slurmd.pid slurmctld.pid munge/pid; do
        [ -s "$dir/$file" ] || continue
        pid=$(cat "$dir/$file")
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 100); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -9 "$pid" 2>/dev/null || true
    done
}

case ${1-} in
start) start "$2" ;;
stop) stop "$2" ;;
*)
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
