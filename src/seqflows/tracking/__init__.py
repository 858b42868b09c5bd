"""Tracking in MLflow: ``track`` updates a store from the files, `Live` logs to it while a training runs.

The files are the record and the store is a view of it. One MLflow run represents one (scale, run, seed), found
by its tag ``seqflows.id``; ``seqflows.digest`` is the digest of its content, so that a second
``track`` changes nothing. A store that is missing, down or slow costs one warning.
"""

from __future__ import annotations

import sys

from seqflows import files, params, paths
from seqflows.errors import shown
from seqflows.tracking.entries import entries
from seqflows.tracking.live import Live
from seqflows.tracking.store import Store, address

__all__ = ["Live", "run"]

STEP = 50  # runs between two lines of progress


def run(key: paths.Key, found: params.Params | None = None) -> None:
    """Bring the store up to date with the files of a scale; write results/<scale>/track.json.

    A store that cannot be reached causes one warning on standard error and an entry in track.json.
    """
    made = list(entries(key.scale, found))
    reached = True
    try:
        with Store(key.scale) as store:
            for number, entry in enumerate(made, 1):
                store.put(entry)
                if number % STEP == 0 or number == len(made):
                    print(f"MLflow: {number} of {len(made)} runs of scale {key.scale}", flush=True)
    except Exception as error:  # no error of a tracker may fail a pipeline
        reached = False
        warn(error)
    kind = address().partition(":")[0]
    listing = {"scale": key.scale, "store": kind, "logged": reached, "runs": [entry.listing() for entry in made]}
    files.write_json(paths.track(key.scale), listing)


def warn(error: Exception) -> None:
    """Print a warning of one line on standard error."""
    print(f"warning: MLflow at {shown(address())} was not reached ({shown(error)}); files only", file=sys.stderr)
