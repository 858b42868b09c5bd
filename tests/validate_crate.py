"""``python tests/validate_crate.py <crate>``: validate an RO-Crate with roc-validator, as `make provenance` does.

The profiles ship with the validator. The one document that it would fetch, the JSON-LD context of RO-Crate 1.1, is put
into its cache from the package that `make provenance` unpacks, so that it needs no network.
"""

import argparse
import io
import sys
import tempfile
from pathlib import Path

PROFILE = "workflow-run-crate"  # which inherits Process Run Crate, Workflow RO-Crate and RO-Crate 1.1
ADDRESS = "https://w3id.org/ro/crate/1.1/context"
CONTEXT = Path(".venv-provenance/context/rocrate/data/ro-crate.jsonld")
ACCEPT = "application/ld+json, application/json, */*;q=0.1"  # with which the validator asks


def seed(cache, context):
    """Put the context into a cache as the answer from its address."""
    import requests
    from requests_cache import CachedSession
    from urllib3 import HTTPResponse

    content, headers = context.read_bytes(), {"Content-Type": "application/ld+json"}
    if f'"{ADDRESS}"' not in content.decode():
        raise SystemExit(f"expected the context of {ADDRESS} in {context}, got another")
    with CachedSession(str(cache), backend="sqlite", expire_after=-1) as session:
        answer = requests.Response()
        answer.status_code, answer.url, answer._content, answer.encoding = 200, ADDRESS, content, "utf-8"
        answer.headers.update(headers)
        answer.request = session.prepare_request(requests.Request("GET", ADDRESS, headers={"Accept": ACCEPT}))
        answer.raw = HTTPResponse(io.BytesIO(content), headers, 200, preload_content=False)
        session.cache.save_response(answer)


def issues(crate, context, severity):
    """What the validator finds in a crate, as texts, and how many checks it made."""
    from rocrate_validator import services
    from rocrate_validator.models import Severity, ValidationSettings

    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        seed(cache, context)
        settings = ValidationSettings(
            rocrate_uri=str(crate),
            profile_identifier=PROFILE,
            requirement_severity=Severity.get(severity),
            offline=True,
            cache_path=cache,
        )
        result = services.validate(settings)
    found = [f"{one.severity.name} {one.check.identifier}: {one.message}" for one in result.get_issues()]
    return found, len(result.executed_checks)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("crate", type=Path)
    parser.add_argument("--severity", default="REQUIRED", choices=("REQUIRED", "RECOMMENDED", "OPTIONAL"))
    parser.add_argument("--context", type=Path, default=CONTEXT, help="the JSON-LD context of RO-Crate 1.1")
    given = parser.parse_args()
    found, checks = issues(given.crate, given.context, given.severity)
    print("\n".join(found or [f"{given.crate}: {checks} checks of {PROFILE} passed, severity {given.severity}"]))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
