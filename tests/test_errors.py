"""How errors are shown: on one line, without what may be a secret."""

import errno

import pytest

from seqflows import errors


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://me:secret@host:1/a", "http://host:1/a"),
        ("http://secret@host/a?secret=b#secret", "http://host/a"),
        ("http://me:se@cret@host/", "http://host/"),
        ("postgresql://me:se/cr?et@host/db", "postgresql://..."),
        ("http://host/?mail=me@home&token=secret", "http://..."),
        ("url: /api?token=secret (a reason)", "url: /api (a reason)"),
        ("'http://me:secret@host/a?secret', 'b'", "'http://host/a', 'b'"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
        ("is it there?", "is it there?"),
    ],
)
def test_addresses_are_shown_without_user_password_and_query(address, shown):
    assert errors.shown(f"no answer from\n{address}") == f"no answer from {shown}"


def test_a_long_text_is_cut_after_its_secrets_are_gone():
    for length in range(440, 520):
        assert "secret" not in errors.shown("x" * length + " http://me:secret@host/?token=secret")


def test_what_the_system_refuses_names_the_target_of_a_rename():
    said = errors.described(OSError(errno.EISDIR, "Is a directory", ".x.tmp", None, "results/x"))
    assert said == "expected results/x to be free to be written, got Is a directory; move it away and run again"
