"""Who says it is told, or asked for: a container's user often has a number and no name."""

import getpass

import pytest

from inferwatch.cli.author import author
from inferwatch.errors import UsageError


@pytest.mark.parametrize("problem", [KeyError("uid not found: 10001"), OSError("No username set")])
def test_a_user_without_a_name_is_asked_for_one(monkeypatch, problem):
    """What is given rules; without it the user's own name, or a sentence that says what to do."""

    def unknown():
        raise problem

    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    assert (author("eve"), author(None), author("")) == ("eve", "ada", "ada")
    monkeypatch.setattr(getpass, "getuser", unknown)
    assert author("eve") == "eve"
    with pytest.raises(UsageError, match="--author"):
        author(None)
