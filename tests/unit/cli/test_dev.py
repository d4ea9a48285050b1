"""`inferwatch dev`: who is started again when it ends, and who is not."""

from types import SimpleNamespace

import pytest

from inferwatch.cli import dev
from inferwatch.cli.main import main
from inferwatch.errors import Exit


class Children:
    """Processes that end as `ends` says, each name's in turn; who has none runs on."""

    def __init__(self, ends) -> None:
        self.ends, self.started = ends, []

    def __call__(self, name, module, arguments):
        """What `Child` would have started."""
        self.started.append(name)
        code = self.ends[name].pop(0) if name in self.ends else None
        process = SimpleNamespace(poll=lambda: code, returncode=code)
        return SimpleNamespace(
            name=name, process=process, running=lambda: code is None, stop=lambda: code
        )


@pytest.fixture
def run_dev(monkeypatch):
    """Run `dev` on children that end so; the exit code, and who was started."""

    def run(ends, *, ready):
        children = Children(ends)
        monkeypatch.setattr(dev, "Child", children)
        monkeypatch.setattr(dev, "_embedded", lambda stack: dev.Connection("127.0.0.1:9"))
        monkeypatch.setattr(dev, "ready", lambda address: ready)
        monkeypatch.setattr(dev, "RESTART_PAUSE_S", 0.0)
        monkeypatch.setattr(dev.signal, "signal", lambda *_: None)
        return main(["dev"]), children.started

    return run


@pytest.mark.parametrize("name", ["worker", "notifier"])
@pytest.mark.parametrize("ready", [False, True])
@pytest.mark.parametrize("code", [Exit.USAGE, Exit.STORAGE, Exit.PERMISSION, Exit.CONFIG])
def test_what_a_restart_cannot_mend_ends_it_with_the_childs_code(
    run_dev, capsys, code, ready, name
):
    """Before it was ready or after a restart: its own sentence stands above, and it is named."""
    before = [Exit.BUG] if ready else []
    ended, started = run_dev({name: [*before, code]}, ready=ready)
    assert ended == code
    assert started == ["worker", "notifier", *[name] * ready]
    told = capsys.readouterr().err.splitlines()
    assert told[-1] == f"the {name} cannot go on (exit {code}); its reason stands above"


def test_whoever_may_succeed_next_time_is_started_again(run_dev, capsys):
    """A bug, a stall, a broker that is away, a kill."""
    ends = [Exit.BUG, Exit.STALLED, Exit.UNAVAILABLE, Exit.DRAIN_DEADLINE, -9]
    ended, started = run_dev({"worker": [*ends, Exit.CONFIG]}, ready=True)
    assert (ended, started.count("worker"), started.count("notifier")) == (Exit.CONFIG, 6, 1)
    told = capsys.readouterr().err.splitlines()
    assert told[:-1] == [f"the worker ended with exit {code} and is started again" for code in ends]


def test_nobody_is_left_behind_when_the_end_is_asked_for_twice():
    """As `timeout` does: what interrupts the wait for one child keeps none from being stopped."""
    stopped = []

    class Slow:
        def stop(self):
            stopped.append(self)
            raise KeyboardInterrupt

    children = [Slow(), Slow(), Slow()]
    with pytest.raises(KeyboardInterrupt):
        dev.stop_all(children)
    assert set(stopped) == set(children)
