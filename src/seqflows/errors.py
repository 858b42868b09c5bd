"""The exceptions for users of a stage, and the display of other exceptions."""

import errno
import re

ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = {  # by the system: why -> what was expected, and the remedy
    (errno.EACCES, errno.EPERM, errno.EROFS): ("the right to read and write {}", "change its rights or owner"),
    ROOM: ("room to write {}", "free some"),
    (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY): ("{} to be free to be written", "move it away"),
}


class Problem(Exception):
    """An error in the input, with what was expected, what was found and the remedy.

    The command line prints it as one line and exits with status 1.
    """


class Interrupted(Exception):
    """Training was asked to stop; a checkpoint was written. Exit status 75 (EX_TEMPFAIL)."""

    exit_status = 75


def shown(error: BaseException | str) -> str:
    r"""An error's text on one line; its addresses without user, password and query, which may be secrets.

    >>> shown(OSError("no answer from\nhttp://me:secret@server/path?token=secret"))
    'no answer from http://server/path'
    >>> shown("http://me:se@cr/et@server")
    'http://...'
    """
    text = re.sub(r"//([^\s'\"<>]+)", _address, " ".join(str(error).split()))
    return re.sub(r"\?[^\s'\"<>]*=[^\s'\"<>]*", "", text)[:500] or type(error).__name__


def _address(found: re.Match[str]) -> str:
    user, at, rest = found[1].rpartition("@")
    if at and re.search(r"[/?#]", user):  # where the password ends and the query begins is anyone's guess
        return "//..."
    return "//" + re.split(r"[?#]", rest)[0]


def described(error: OSError | MemoryError | RecursionError) -> str:
    """What the system refused, as `Problem` says it: what was expected, what was found, the remedy.

    >>> described(PermissionError(13, "Permission denied", "results"))
    'expected the right to read and write results, got Permission denied; change its rights or owner and run again'
    """
    if isinstance(error, MemoryError):
        return f"expected enough memory, got too little ({shown(error)}); free some, or lower sizes in params.yaml"
    if isinstance(error, RecursionError):
        return "expected values nested a few levels deep, got some nested too deeply; correct the file that has them"
    expected, remedy = "{} to be there and to work", "look at it and its disk"
    for known, texts in REFUSED.items():
        expected, remedy = texts if error.errno in known else (expected, remedy)
    file = error.filename2 or error.filename or "its files and standard output"
    said = shown(error.strerror or error)
    got = f"none ({said})" if error.errno in ROOM else said
    return f"expected {expected.format(file)}, got {got}; {remedy} and run again"
