"""A real Slurm of one node in a folder of its own: nothing of the machine's configuration is touched."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "scancel", "squeue", "sinfo")
WHERE = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
CONF = """ClusterName=seqflows
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=5,batch_sched_delay=0
MinJobAge=600
KillWait=30
ReturnToService=2
MpiDefault=none
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={slots} Boards=1 SocketsPerBoard=1 CoresPerSocket={slots} ThreadsPerCore=1 \
RealMemory=1000000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing():
    """Why Slurm cannot be tried here, or None; on Debian root installs it."""
    if os.geteuid() != 0:
        return "a Slurm of one's own needs root"
    if lacking():
        if shutil.which("apt-get") is None:
            return f"no {', '.join(lacking())} and no apt-get to install them"
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *PACKAGES]):
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(["apt-get", *command], env=environment, capture_output=True, timeout=300, check=False)
    return f"no {', '.join(lacking())}, and apt-get did not install them" if lacking() else None


def lacking():
    """The programs that are not here."""
    return [name for name in PROGRAMS if shutil.which(name, path=WHERE) is None]


def free_ports(count):
    """Ports that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Slurm:
    """Munge and both daemons, up while the context lasts; ``env`` is what its commands need."""

    def __init__(self, folder, slots=32):
        self.folder, self.slots = Path(folder), slots
        self.env = {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": WHERE}

    def __enter__(self):
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "munge.key").write_bytes(os.urandom(1024))
        (self.folder / "munge.key").chmod(0o400)
        host = socket.gethostname().split(".")[0]
        text = CONF.format(host=host, folder=self.folder, ports=free_ports(2), slots=self.slots)
        (self.folder / "slurm.conf").write_text(text)
        munge = ["munged", "--force", f"--socket={self.folder}/munge.socket", f"--key-file={self.folder}/munge.key"]
        munge += [f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/munged.log"]
        self.run(*munge, f"--seed-file={self.folder}/munge.seed")
        self.run("slurmctld", "-f", self.env["SLURM_CONF"])
        self.run("slurmd", "-f", self.env["SLURM_CONF"])
        for _ in range(150):
            if self.run("sinfo", "-h", "-o", "%T", check=False).strip() == "idle":
                return self
            time.sleep(0.2)
        logs = "\n".join(path.read_text()[-2000:] for path in self.folder.glob("*.log"))
        self.__exit__()
        raise AssertionError(f"expected an idle node within 30 s, got\n{logs}")

    def __exit__(self, *_):
        self.run("scancel", "--user=root", check=False)
        for name in ("slurmd", "slurmctld", "munged"):
            with contextlib.suppress(OSError, ValueError):
                pid = int((self.folder / f"{name}.pid").read_text())
                os.kill(pid, signal.SIGTERM)
                for _ in range(100):
                    os.kill(pid, 0)
                    time.sleep(0.1)

    def run(self, *command, check=True):
        """A command of this Slurm's, and what it printed."""
        done = subprocess.run(
            command, env=os.environ | self.env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def running(self, word):
        """The number of a running job whose name holds ``word``, or None."""
        for line in self.run("squeue", "-h", "-o", "%i %j %T").splitlines():
            number, name, state = line.split()
            if word in name and state == "RUNNING":
                return number
        return None
