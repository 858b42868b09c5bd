"""The exceptions for users of a stage, and the display of other exceptions."""

import re


class Problem(Exception):
    """An error in the input, with what was expected, what was found and the remedy.

    The command line prints it as one line and exits with status 1.
    """


class Interrupted(Exception):
    """Training was asked to stop; a checkpoint was written. Exit status 75 (EX_TEMPFAIL)."""

    exit_status = 75


def shown(error: Exception | str) -> str:
    r"""An error's text on one line, without passwords in URLs.

    >>> shown(OSError("no answer from\nhttp://me:secret@server"))
    'no answer from http://server'
    """
    text = " ".join(str(error).split())[:300] or type(error).__name__
    return re.sub(r"//[^/@\s]*@", "//", text)
