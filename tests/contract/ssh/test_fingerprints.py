"""A fingerprint is taken where the step runs: hosts that differ are different keys, hosts that agree are the same."""

from __future__ import annotations

import pytest

from tests.support.remote_tools import Remote, apart, host_events, ran_at
from tests.support.sshd.host import Host

pytestmark = apart


def recipe(more: str = "", run: str = "mytool > out") -> str:
    """A step that depends on the version of a tool."""
    tool = 'cat "$TOOL"'
    return (
        f"steps:\n  - name: s\n    outputs: out\n{more}    fingerprint: {tool}\n"
        f"    run: |\n      mytool() {{ {tool}; }}\n      {run}\n"
    )


def versions(remote: Remote, *hosts: Host, **given: str) -> None:
    """A hosts file; each host has a tool of the version ``given`` by its name, `here` is this machine's."""
    remote.client.trust(*hosts)
    items = []
    for host in hosts:
        if host.name in given:
            host.inside(f"tool-{remote.number}").write_text(given[host.name] + "\n")
        env = {"TOOL": f"{host.layout.home}/tool-{remote.number}"}
        items.append(remote.item(host, env=env, labels=["any"], slots=1))
    remote.hosts_text("".join(items))
    remote.write("tool", given.get("here", "0") + "\n")


def go(remote: Remote, **how: object) -> dict[str, str]:
    """Run: instance -> where it ran."""
    env = {"TOOL": str(remote.workspace / "tool")}
    return ran_at(remote.there(env=env, **how))  # type: ignore[arg-type]


def test_the_versions_there_and_here_are_two_keys(remote: Remote) -> None:
    (h1,) = remote.standing("h1")
    versions(remote, h1, h1="2.0", here="1.0")
    remote.recipe(recipe("    runs_on: h1\n"))
    assert go(remote, jobs=1) == {"s": "h1"} and remote.read("out") == "2.0\n"
    assert go(remote, jobs=1) == {}, "current by the fingerprint of the place that may be used"
    remote.recipe(recipe())
    assert go(remote) == {}, "what may run at h1 alone is still what h1 made"
    result = remote.run(env={"TOOL": str(remote.workspace / "tool")})
    assert result.summary["ran"] == 1 and remote.read("out") == "1.0\n", "here it is another key"
    assert go(remote) == {} and remote.read("out") == "2.0\n", "and h1's comes back from the cache"
    versions(remote, h1, h1="3.0", here="1.0")
    assert go(remote) == {"s": "h1"} and remote.read("out") == "3.0\n"


def test_hosts_that_agree_are_one(remote: Remote) -> None:
    h1, h2 = remote.standing("h1", "h2")
    versions(remote, h1, h2, h1="2", h2="2")
    remote.recipe(recipe("    runs_on: h1\n"))
    assert go(remote) == {"s": "h1"}
    remote.recipe(recipe("    runs_on: h2\n"))
    assert go(remote) == {}
    versions(remote, h1, h2, h1="2", h2="5")
    assert go(remote) == {"s": "h2"} and remote.read("out") == "5\n"
    remote.recipe(recipe("    runs_on: any\n"))
    assert go(remote) == {} and remote.read("out") == "5\n", "what is there is current by one of them"


def test_where_the_command_fails_the_step_does_not_run(remote: Remote) -> None:
    h1, h2 = remote.standing("h1", "h2")
    versions(remote, h1, h2, h1="1")
    remote.recipe(recipe("    runs_on: any\n"))
    assert go(remote) == {"s": "h1"}
    h1.inside(f"tool-{remote.number}").unlink()
    result = remote.there(code=1)
    assert "h1: fingerprint" in result.reasons["s"] and "h2: fingerprint" in result.reasons["s"]


def test_current_by_this_machine_needs_no_connection(remote: Remote) -> None:
    (h1,) = remote.standing("h1")
    versions(remote, h1, h1="2", here="1")
    remote.recipe(recipe("    runs_on: local\n"))
    assert go(remote, jobs=1) == {"s": "local"}
    remote.recipe(recipe())
    result = remote.there(jobs=1, env={"TOOL": str(remote.workspace / "tool")})
    assert result.summary["current"] == 1 and not host_events(result)


@pytest.mark.parametrize("name", ["recipe", "host"])
def test_a_command_sees_what_the_step_sees(remote: Remote, name: str) -> None:
    (h1,) = remote.standing("h1")
    versions(remote, h1, h1="2")
    h1.inside(f"other-{remote.number}").write_text("7\n")
    other = f"{h1.layout.home}/other-{remote.number}"
    remote.recipe(recipe(f"    env:\n      TOOL: {other}\n" if name == "recipe" else ""))
    assert go(remote) == {"s": "h1"}
    assert remote.read("out") == ("7\n" if name == "recipe" else "2\n")
    assert go(remote) == {}
    h1.inside(f"other-{remote.number}").write_text("8\n")
    assert go(remote) == ({"s": "h1"} if name == "recipe" else {})
