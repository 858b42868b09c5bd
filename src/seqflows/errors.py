"""The two exceptions that a user of a stage is meant to read, and how one from elsewhere is shown."""

import re


class Problem(Exception):
    """A mistake in the input: says what was expected, what was found and the remedy.

    The command line prints it as one line and exits with status 1.
    """


class Interrupted(Exception):
    """Training was asked to stop; a checkpoint was written. Exit status 75 (EX_TEMPFAIL)."""

    exit_status = 75


def shown(error: Exception | str) -> str:
    r"""An error's text on one line, without a password that an address in it may carry.

    >>> shown(OSError("no answer from\nhttp://me:secret@server"))
    'no answer from http://server'
    """
    text = " ".join(str(error).split())[:300] or type(error).__name__
    return re.sub(r"//[^/@\s]*@", "//", text)
