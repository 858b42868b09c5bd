"""The files of a pretrained encoder: from a package, a folder or the hub."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

from seqflows import files
from seqflows.config.features import FOLDER, PACKAGE
from seqflows.errors import Problem, shown

MODEL = ("config.json", "model.safetensors")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
REMEDY = (
    "install the encoder of scale laptop (make laptop-packages), or put config.json, model.safetensors and "
    "tokenizer.json into a folder and name it as ./<path> for model in params.yaml"
)


def found(model: str, revision: str | None) -> Path:
    """The folder of an encoder's files; those of a name of the hub are downloaded unless they are in its cache.

    A package is not imported.
    """
    if model.startswith(PACKAGE):
        package, _, inner = model.removeprefix(PACKAGE).partition("/")
        spec = importlib.util.find_spec(package)
        places = [] if spec is None else list(spec.submodule_search_locations or [])
        if not places:
            raise Problem(f"expected the installed package {package} with an encoder, got no such package; {REMEDY}")
        return Path(places[0]) / inner
    if model.startswith(FOLDER):
        return Path(model).expanduser()
    try:
        import huggingface_hub
    except ImportError as error:
        raise Problem(f"expected the package huggingface-hub, got {error}; pip install huggingface-hub") from None
    try:
        wanted = [*MODEL, *TOKENIZER]
        return Path(huggingface_hub.snapshot_download(model, revision=revision, allow_patterns=wanted))
    except (OSError, ValueError, huggingface_hub.errors.HfHubHTTPError) as error:
        name = f"{model} at revision {revision}"
        raise Problem(f"expected the encoder {name} in the cache or on the hub, got {shown(error)}; {REMEDY}") from None


def digests(folder: Path, names: Sequence[str]) -> Mapping[str, str]:
    """The sha256 of those files that there are."""
    return {name: files.sha256(folder / name) for name in names if (folder / name).is_file()}
