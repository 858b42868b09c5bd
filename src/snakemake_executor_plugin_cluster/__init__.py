"""``snakemake --cluster sbatch -j 32`` under Snakemake 8 and 9, which know it by another name.

Snakemake 7 has the option itself and does not read this. Later ones leave it to plugins: they import every package of
this name's pattern before they parse the command line. This one has the executor ``cluster``, which is that of
snakemake-executor-plugin-cluster-generic, and writes ``--cluster COMMAND`` as ``--executor cluster
--cluster-submit-cmd COMMAND``. ``--cluster-status`` and ``--cluster-cancel`` become its options likewise.
"""

from __future__ import annotations

import sys

OPTIONS = {
    "--cluster": ("--executor", "cluster", "--cluster-submit-cmd"),
    "--cluster-status": ("--cluster-status-cmd",),
    "--cluster-cancel": ("--cluster-cancel-cmd",),
}
GENERIC = "snakemake-executor-plugin-cluster-generic"
__all__ = ["Executor", "ExecutorSettings", "common_settings", "translated"]


def translated(arguments: list[str]) -> list[str]:
    """A command line with the options of Snakemake 7 as those of the executor ``cluster``; targets stay.

    >>> translated(["-j", "32", "--cluster", "sbatch -p gpu", "--", "--cluster"])
    ['-j', '32', '--executor', 'cluster', '--cluster-submit-cmd', 'sbatch -p gpu', '--', '--cluster']
    >>> translated(["--cluster=sbatch"])
    ['--executor', 'cluster', '--cluster-submit-cmd', 'sbatch']
    """
    found: list[str] = []
    for number, argument in enumerate(arguments):
        if argument == "--":
            return found + arguments[number:]
        name, equal, value = argument.partition("=")
        found += [*OPTIONS[name], value] if name in OPTIONS and equal else OPTIONS.get(argument, (argument,))
    return found


def _is_snakemake(command: str) -> bool:
    return command.replace("\\", "/").rpartition("/")[2] in ("snakemake", "__main__.py")


try:
    from snakemake_executor_plugin_cluster_generic import Executor, ExecutorSettings, common_settings
except ModuleNotFoundError:  # a plugin that cannot be imported would end every snakemake, also one without a cluster
    from snakemake.executors.local import Executor, common_settings  # type: ignore[no-redef]
    from snakemake_interface_executor_plugins.settings import (
        ExecutorSettingsBase as ExecutorSettings,  # type: ignore[assignment]
    )

    if "--cluster" in (argument.partition("=")[0] for argument in sys.argv):
        sys.exit(f"expected the package {GENERIC} for --cluster, found none; run: pip install {GENERIC}")

if _is_snakemake(sys.argv[0]):
    sys.argv[1:] = translated(sys.argv[1:])
