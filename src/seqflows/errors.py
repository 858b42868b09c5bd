"""The one exception that a user of a stage is meant to read."""


class Problem(Exception):
    """A mistake in the input: says what was expected, what was found and the remedy.

    The command line prints it as one line and exits with status 1.
    """


class Interrupted(Exception):
    """Training was asked to stop; a checkpoint was written. Exit status 75 (EX_TEMPFAIL)."""

    exit_status = 75
