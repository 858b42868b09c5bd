"""``figure``: a figure as png and svg, drawn from files of evaluate, speed and train.

Both formats are the same bytes for the same input: no dates, fixed ids.
"""

from __future__ import annotations

import contextlib
import importlib
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqflows import files, paths
from seqflows.config import checks
from seqflows.errors import Problem
from seqflows.names import near
from seqflows.params import Params
from seqflows.report.inputs import Results, matrix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Kind -> module of `seqflows.report.plots` with `draw(results, block) -> (Figure, origin)`.
KINDS = checks.FIGURES

LETTERS, LINE = 20, 0.1  # of the origin of a figure's numbers: letters to an inch, and the height of a line in inches
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.4,
    "svg.hashsalt": "seqflows",
    "svg.fonttype": "path",
}


def run(key: paths.Key, found: Params | None = None) -> None:
    """Write results/<scale>/<figure>.png and .svg.

    Raises:
        Problem: unknown figure or kind, or a missing file.
    """
    params = found or matrix()
    block = params.figure(key.name)
    with styled(str(key)):
        figure, origin = draw(Results(params, key.scale), block)
        save(figure, paths.figure(key.scale, key.name), f"scale {key.scale} · {origin}")


@contextlib.contextmanager
def styled(what: str) -> Iterator[None]:
    """Draw in this project's style, without a display."""
    try:
        import matplotlib
    except ImportError as error:
        raise Problem(f"expected the package matplotlib to draw {what}, got {error}; pip install matplotlib") from None
    matplotlib.use("Agg")
    with matplotlib.rc_context(STYLE):
        yield


def draw(results: Results, block: dict[str, Any]) -> tuple[Figure, str]:
    """The figure of a block, and the origin of its numbers: their device, and which are of earlier settings."""
    if block["kind"] not in KINDS:
        nearest = near(block["kind"], KINDS)
        raise Problem(f"expected a figure kind of {', '.join(KINDS)}, got {block['kind']!r} in params.yaml{nearest}")
    return importlib.import_module(f"seqflows.report.plots.{block['kind']}").draw(results, block)


def save(figure: Figure, where: Iterable[Path], origin: str) -> None:
    """Add the origin of its numbers in the lower right corner and write it to png and svg files.

    Lines after the origin's first one lengthen the figure at its lower end.
    """
    from matplotlib import pyplot
    from matplotlib.transforms import Bbox

    width, height = figure.get_size_inches()
    lines = textwrap.wrap(origin, int(LETTERS * width), break_on_hyphens=False)
    below = LINE * (len(lines) - 1)
    shown = {"ha": "right", "va": "bottom", "fontsize": 6, "color": "0.45"}
    figure.text(0.995, 0.004 - below / height, "\n".join(lines), **shown)
    part = {"bbox_inches": Bbox([[0, -below], [width, height]])} if below else {}
    for path in where:
        metadata = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}[path.suffix]
        with files.replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=metadata, **part)
    pyplot.close(figure)
