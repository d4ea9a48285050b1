"""Who says what goes into the log."""

import getpass

from inferwatch.errors import UsageError


def author(given: str | None) -> str:
    """`--author`, or the name of the user.

    :raises UsageError: neither is known: a container's user may have a number only.
    """
    if given:
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        raise UsageError("your user has no name; say who you are with --author") from None
