"""``crate <scale>``: the results as a Workflow Run RO-Crate, the audit as requirements, an article's metadata a paper.

``crates/<scale>`` is an RO-Crate: the kept records, tables, figures and audit at their places in the project, the
workflow of both engines and params.yaml, and ro-crate-metadata.json, which says by their checksums what was made of
what. Code and data are not in it: it names them by commit, address and checksum. It conforms to the profiles Process
Run Crate and Workflow Run Crate 0.5 and Workflow RO-Crate 1.0. The same files give the same bytes: the date is that of
the last commit of one of them, or $SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import datetime
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqflows import files, params, paths
from seqflows.errors import Problem
from seqflows.params import Params
from seqflows.provenance import actions, citation, requirements, rescience
from seqflows.provenance.actions import SETTINGS
from seqflows.provenance.citation import Citation
from seqflows.provenance.entities import (
    PROJECT,
    Dataset,
    Entity,
    Properties,
    author,
    data,
    file,
    kept,
    project,
    ref,
    source,
    tools,
    value,
)  # fmt: skip

METADATA = "ro-crate-metadata.json"
VERSION = "1.1"  # of RO-Crate, which the profiles build on
WORKFLOW, RULES, DVC = Path("Snakefile"), Path("workflow/rules"), Path("dvc.yaml")
ALSO = {citation.FILE: "How to cite the project", Path("LICENSE"): "Licence"}
SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
LANGUAGES = {
    SNAKEMAKE: ("Snakemake", "https://snakemake.readthedocs.io"),
    "https://dvc.org": ("DVC", "https://dvc.org"),
}
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
BIOSCHEMAS = "https://bioschemas.org/profiles/{}/1.0-RELEASE"
SETTING, SCALE, OUTPUT = "#parameter/params", "#parameter/scale", "#parameter/audit"  # parameters of the workflow
TERMS = {term: f"https://w3id.org/ro/terms/workflow-run#{term}" for term in ("sha256", "resourceUsage")}
CODE = ("SoftwareSourceCode", "ComputationalWorkflow")
UNKNOWN = (
    "The records do not say which engine ran a stage, when, and who started it: actions have no agent and no times."
)


def folder(scale: str) -> Path:
    """The folder of a scale's crate, which is not kept in git."""
    return Path("crates") / scale


def run(scale: str) -> list[Path]:
    """Write the requirements, the articles' metadata and the crate of a scale; return what was written.

    Raises:
        Problem: the package rocrate is missing, there are no kept records or no audit, or a record was changed.
    """
    library = _library()
    found, cited = params.load(), citation.read()
    rows = requirements.audit(scale)
    known = actions.runs(scale)
    if not known:
        raise Problem(
            f"expected records in {paths.results(scale) / 'runs'}, found none; run: python -m seqflows keep {scale}"
        )
    actions.drawn(found, scale, known)
    date = published([*contents(scale), WORKFLOW, RULES, DVC, *inner(), SETTINGS, *ALSO])
    written = [requirements.write(found, scale), *rescience.write(cited, rows, scale)]
    entities = described(found, cited, scale, known)
    with files.replacing_folder(folder(scale)) as temporary:
        _write(library, entities, root(cited, scale, entities, date), temporary)
    return [*written, folder(scale) / METADATA]


def described(found: Params, cited: Citation, scale: str, known: Mapping[str, Mapping[str, Any]]) -> list[Entity]:
    """Every entity of a scale's crate but the root and the metadata file, in order; ``known`` are the kept records."""
    there, current = contents(scale), kept(scale)
    prepared = dict.fromkeys(
        [*current.values(), *(one for each in known.values() for one in actions.data(each, current))]
    )
    made = [entity for each in known.values() for entity in actions.run(found, scale, each, current, there)]
    audit = paths.audit(scale)[0]
    return actions.checked(
        [
            *workflow(cited.version, scale, there, prepared),
            *(file(path, name) for path, name in ALSO.items()),
            *(file(path, _title(found, path), **_example(OUTPUT) if path == audit else {}) for path in there),
            *made,
            *actions.shown(found, scale, there),
            exported(scale),
            *(data(one, scale, current) for one in prepared),
            *(entity for name in dict.fromkeys(one.source for one in current.values()) for entity in source(name)),
            *tools(cited.version),
            *project(cited),
            *(
                Entity(id, ("CreativeWork",), {"name": name, "version": version})
                for id, (name, version) in PROFILES.items()
            ),
        ]
    )


def _example(parameter: str) -> Properties:
    return {"exampleOfWork": ref(parameter)}


def contents(scale: str) -> list[Path]:
    """The files of a scale's results, and what raters said, in order."""
    found = [path for top in (paths.results(scale), paths.HUMAN / scale) for path in top.rglob("*") if path.is_file()]
    return sorted(path for path in found if not path.name.startswith("."))


def _title(found: Params, path: Path) -> str:
    """The title of a table or a figure, as params.yaml has it; else the name of the file."""
    block: dict[str, Any] = found.tables.get(path.stem) or found.figures.get(path.stem) or {}
    return str(block.get("title", path.name))


def inner() -> list[Path]:
    """The files of DVC's that dvc.yaml leaves stages to."""
    return sorted(Path("workflow").glob(f"*/{DVC}"))


def workflow(version: str, scale: str, there: Iterable[Path], prepared: Iterable[Dataset]) -> list[Entity]:
    """The workflow in the forms of both engines, its parameters, and its run as a whole."""
    rules = [file(path, path.name, CODE[:1], version=version) for path in sorted(RULES.glob("*.smk"))]
    stages = [file(path, path.as_posix(), CODE[:1], version=version) for path in inner()]
    commands = [one.id for one in tools(version)]
    shared: Properties = {
        "version": version, "input": ref(SETTING, SCALE), "output": ref(OUTPUT),
        "conformsTo": ref(BIOSCHEMAS.format("ComputationalWorkflow")),
    }  # fmt: skip
    of = {
        WORKFLOW: ("The stages of seqflows, for Snakemake", SNAKEMAKE, [one.id for one in rules]),
        DVC: ("The same stages, for DVC", "https://dvc.org", [one.id for one in stages]),
    }
    engines = [
        file(path, name, CODE, programmingLanguage=ref(language), hasPart=ref(*parts, *commands), **shared)
        for path, (name, language, parts) in of.items()
    ]
    whole = {
        "name": f"All stages at scale {scale}",
        "description": f"The stages whose outputs are kept, each an action of its own. {UNKNOWN}",
        "instrument": ref(WORKFLOW.as_posix()),
        "object": ref(SETTINGS.as_posix(), "#scale", *(one.id for one in prepared)),
        "result": ref(*(path.as_posix() for path in there)),
    }
    return [
        *engines,
        *rules,
        *stages,
        file(SETTINGS, "Datasets, models, runs and tables at each scale", **_example(SETTING)),
        Entity(f"#workflow/{scale}", ("CreateAction",), whole),
        *(Entity(id, ("ComputerLanguage",), {"name": name, "url": ref(url)}) for id, (name, url) in LANGUAGES.items()),
        value("#scale", "scale", scale, **_example(SCALE)),
        _parameter(SETTING, "params", "File", SETTINGS.as_posix()),
        _parameter(SCALE, "scale", "Text", "#scale"),
        _parameter(OUTPUT, "audit", "File", paths.audit(scale)[0].as_posix()),
    ]


def exported(scale: str) -> Entity:
    """The action of this command itself, on the audit."""
    cells, _, claims, _ = paths.audit(scale)
    results = [requirements.path(scale), *rescience.places(scale)]
    properties = {
        "name": f"crate {scale}",
        "description": "The audit as a tree of requirements, and the metadata of an article a paper.",
        "instrument": ref(PROJECT),
        "object": ref(*(path.as_posix() for path in (cells, claims, citation.FILE))),
        "result": ref(*(path.as_posix() for path in results)),
    }
    return Entity(f"#crate/{scale}", ("CreateAction",), properties)


def _parameter(id: str, name: str, kind: str, example: str) -> Entity:
    properties = {
        "name": name,
        "additionalType": kind,
        "workExample": ref(example),
        "conformsTo": ref(BIOSCHEMAS.format("FormalParameter")),
    }
    return Entity(id, ("FormalParameter",), properties)


def root(cited: Citation, scale: str, entities: Sequence[Entity], date: str) -> Properties:
    """The properties of the root dataset."""
    made = [one.id for one in entities if "CreateAction" in one.types]
    return {
        "name": f"{cited.title}: results of scale {scale}",
        "description": f"Records, tables, figures and audit of scale {scale}, with the workflow. {UNKNOWN}",
        "datePublished": date,
        "license": ref(f"https://spdx.org/licenses/{cited.licence}"),
        "author": ref(*map(author, cited.authors)),
        "publisher": ref(*map(author, cited.authors)),
        "keywords": ", ".join(cited.keywords),
        "citation": ref(*(one.address for one in cited.papers.values())),
        "conformsTo": ref(*PROFILES),
        "mainEntity": ref(WORKFLOW.as_posix()),
        "mentions": ref(*made),
    }


def published(sources: Sequence[Path]) -> str:
    """The date of the last commit of some files, or $SOURCE_DATE_EPOCH, as ISO 8601 in UTC.

    Raises:
        Problem: neither git nor the variable says one.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        command = ["git", "log", "-1", "--format=%ct", "--", *map(str, sources)]
        try:
            given = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            given = ""
    if not given.isdecimal():
        raise Problem(
            "expected a commit of the results in git, or the seconds since 1970 in SOURCE_DATE_EPOCH, "
            f"got {given!r}; commit them or set it"
        )
    return datetime.datetime.fromtimestamp(int(given), datetime.UTC).isoformat()


def _library() -> Any:
    """The package rocrate, which only this command needs."""
    try:
        import rocrate.model
        import rocrate.rocrate
    except ImportError as error:
        raise Problem(
            f"expected the package rocrate, got {error}; run make provenance, which has an environment of its own, "
            "or pip install -r requirements-provenance.txt"
        ) from None
    return rocrate


def _write(library: Any, entities: Sequence[Entity], properties: Properties, place: Path) -> None:
    """Write the crate, with a copy of each file, into a folder."""
    crate = library.rocrate.ROCrate(version=VERSION)
    for entity in entities:
        content = {"@type": list(entity.types) if len(entity.types) > 1 else entity.types[0], **entity.properties}
        if entity.file:
            crate.add_file(entity.file, entity.id, properties=content)
        else:
            crate.add(library.model.ContextEntity(crate, entity.id, properties=content))
    for name, part in properties.items():
        crate.root_dataset[name] = part
    crate.metadata["conformsTo"] = [{"@id": crate.metadata.profile}, {"@id": list(PROFILES)[-1]}]
    crate.metadata.extra_terms.update(TERMS)
    crate.write(place)
