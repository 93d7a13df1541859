"""Every verb and option of the command line, in one table of plain data.

Both parsers are made from it: typer's (cli/typer_app.py: help, errors, completion) and the hand parser for the usual
case (cli/arguments.py); so are the checks of values, the defaults of `RunOptions`, the part that options have in the
name of a request, and the table in docs/cli.md. To add an option, add it here and to the verbs that take it. Imports
nothing, so that a run in which there is nothing to do does not pay for it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FLAG, TEXT, MANY = "flag", "text", "many"
"""Kinds of options: on or off, one text (the last one wins), or a text each time it is given."""

ANSWER, HARMLESS, FULL, APART = "answer", "harmless", "full", "apart"
"""What an option is to the snapshot of an earlier run: part of its name; nothing, where there is nothing to do; a reason
to go the full way; and one to leave no snapshot either."""


class Option:
    """One option: ``field`` is where it lands, ``flags`` its names, ``metavar`` what help calls its value."""

    __slots__ = ("default", "field", "flags", "help", "kind", "metavar", "request", "value")

    def __init__(
        self,
        field: str,
        flags: str,
        kind: str,
        help: str,
        metavar: str = "",
        request: str = FULL,
        value: str = "",
        default: Any = None,
    ) -> None:
        self.field = field
        self.flags = tuple(flags.split())
        self.kind = kind
        self.help = help
        self.metavar = metavar
        self.request = request
        self.value = value
        """What its text must be, one of `cli.arguments.CHECKS`; empty: any text."""
        self.default = False if kind == FLAG else [] if kind == MANY else default


class Positional:
    """One positional argument: exactly one, one that may be left out, or (last only) any number."""

    __slots__ = ("field", "help", "many", "required")

    def __init__(self, field: str, help: str, required: bool = True, many: bool = False) -> None:
        self.field = field
        self.help = help
        self.required = required
        self.many = many


class Verb:
    """One command; ``name`` has two words for a command of a group (`cache stats`)."""

    __slots__ = ("help", "name", "options", "positionals")

    def __init__(self, name: str, help: str, positionals: tuple[Positional, ...], options: str) -> None:
        self.name = name
        self.help = help
        self.positionals = positionals
        self.options = tuple(OPTIONS[field] for field in options.split())


OPTIONS = {
    option.field: option
    for option in (
        Option(
            "jobs",
            "-j --jobs",
            TEXT,
            "Run up to N steps at one time (default: the cores it may use).",
            "N",
            request=HARMLESS,
            value="slots",
        ),
        Option(
            "keep_going",
            "-k --keep-going",
            FLAG,
            "After a failure go on with what does not depend on it.",
            request=HARMLESS,
        ),
        Option("dry_run", "-n --dry-run", FLAG, "Only say what would be done."),
        Option(
            "force", "--force", MANY, "Run TARGET even if it is current; replace protected outputs.", "TARGET"
        ),
        Option(
            "only",
            "--only",
            MANY,
            "Run only this; take the outputs of other steps as they are.",
            "TARGET",
            request=APART,
        ),
        Option("skip", "--skip", MANY, "Leave this out, and what needs it.", "TARGET", request=APART),
        Option(
            "set",
            "--set",
            MANY,
            "Override a value of the recipe's config: a.b=v.",
            "K=V",
            request=ANSWER,
            value="assignment",
        ),
        Option(
            "config",
            "--config",
            MANY,
            "Override the recipe's config with that of a YAML file.",
            "FILE",
            request=ANSWER,
        ),
        Option(
            "resource",
            "--resource",
            MANY,
            "Limit a resource: --resource mem=8GB.",
            "NAME=N",
            request=APART,
            value="limit",
        ),
        Option(
            "backend",
            "--backend",
            TEXT,
            "Where steps run: local, ssh, dask[=tcp://HOST:PORT], ray[=ADDRESS].",
            "URL",
            request=HARMLESS,
            value="cluster",
            default="local",
        ),
        Option(
            "dask_ca",
            "--dask-ca",
            TEXT,
            "The authority's certificate, for dask=tls://….",
            "FILE",
            request=HARMLESS,
            value="cluster",
        ),
        Option(
            "dask_cert",
            "--dask-cert",
            TEXT,
            "f0make's own certificate for it.",
            "FILE",
            request=HARMLESS,
            value="cluster",
        ),
        Option(
            "dask_key",
            "--dask-key",
            TEXT,
            "The key of that certificate.",
            "FILE",
            request=HARMLESS,
            value="cluster",
        ),
        Option(
            "host",
            "--host",
            MANY,
            "Run steps there, too: [user@]address[:port][/slots].",
            "HOST",
            request=ANSWER,
        ),
        Option("hosts", "--hosts", MANY, "Run steps on the hosts in FILE, too.", "FILE", request=ANSWER),
        Option(
            "accept_new_host_keys",
            "--accept-new-host-keys",
            FLAG,
            "Add unknown host keys to the known ones.",
            request=ANSWER,
        ),
        Option(
            "connect_timeout",
            "--connect-timeout",
            TEXT,
            "How long a host may take to answer (5s).",
            "TIME",
            request=ANSWER,
            value="patience",
        ),
        Option(
            "lease",
            "--lease",
            TEXT,
            "A host is lost when it is silent for so long (20s).",
            "TIME",
            request=ANSWER,
            value="patience",
        ),
        Option(
            "reconnect",
            "--reconnect",
            TEXT,
            "How long lost hosts are tried again (60s).",
            "TIME",
            request=ANSWER,
            value="patience",
        ),
        Option(
            "cache",
            "--cache",
            TEXT,
            "Directory or http(s) address of a cache to share.",
            "DIR|URL",
            request=ANSWER,
            value="cache",
        ),
        Option(
            "cache_readonly",
            "--cache-readonly",
            FLAG,
            "Take results from the cache that --cache names, store none there.",
            request=ANSWER,
        ),
        Option(
            "no_cache",
            "--no-cache",
            FLAG,
            "Neither read nor store blobs: what is lost runs again.",
            request=ANSWER,
        ),
        Option(
            "wait",
            "--wait",
            FLAG,
            "Wait for another run in this workspace instead of ending with exit 4.",
            request=HARMLESS,
        ),
        Option(
            "retries",
            "--retries",
            TEXT,
            "Attempts after a first failure, whatever the steps say.",
            "N",
            request=HARMLESS,
            value="count",
        ),
        Option(
            "strict",
            "--strict",
            FLAG,
            "A step can read only its inputs, and write only its outputs (Linux).",
            request=HARMLESS,
        ),
        Option(
            "audit",
            "--audit",
            FLAG,
            "List reads and writes that the recipe does not declare (Linux).",
            request=HARMLESS,
        ),
        Option("rehash", "--rehash", FLAG, "Hash every file again, trust no signature."),
        Option(
            "max_cpu",
            "--max-cpu",
            TEXT,
            "Start nothing that would use more of the cores: 80%.",
            "PERCENT",
            request=ANSWER,
            value="budget",
        ),
        Option(
            "max_mem",
            "--max-mem",
            TEXT,
            "Start nothing that would take more memory: 8GB.",
            "SIZE",
            request=ANSWER,
            value="budget",
        ),
        Option(
            "max_load",
            "--max-load",
            TEXT,
            "Start nothing while the load is above N.",
            "N",
            request=ANSWER,
            value="budget",
        ),
        Option(
            "max_time",
            "--max-time",
            TEXT,
            "Start only what ends within this time: 2h.",
            "TIME",
            request=ANSWER,
            value="budget",
        ),
        Option(
            "max_energy",
            "--max-energy",
            TEXT,
            "Start only what this energy suffices for: 0.2kWh.",
            "ENERGY",
            request=ANSWER,
            value="budget",
        ),
        Option(
            "max_carbon",
            "--max-carbon",
            TEXT,
            "Start only what this much CO2 suffices for: 50g.",
            "MASS",
            request=ANSWER,
            value="budget",
        ),
        Option(
            "country",
            "--country",
            TEXT,
            "Whose electricity is used: FRA, an ISO 3166 code.",
            "CODE",
            request=ANSWER,
            value="budget",
        ),
        Option("energy", "--energy", FLAG, "Measure energy and carbon.", request=HARMLESS),
        Option("json", "--json", FLAG, "Print JSON on standard output.", request=HARMLESS),
        Option("quiet", "-q --quiet", FLAG, "Say only what failed.", request=HARMLESS),
        Option(
            "verbose",
            "-v --verbose",
            FLAG,
            "Say more: every instance, and the logs of steps.",
            request=HARMLESS,
        ),
        Option(
            "trust", "--trust", FLAG, "Work in a directory that belongs to another user.", request=HARMLESS
        ),
        Option(
            "debug",
            "--debug",
            FLAG,
            "Show a traceback with an error; of a run also the way it took, and why.",
            request=HARMLESS,
        ),
        Option(
            "workspace",
            "-C --directory",
            TEXT,
            "Work in DIR; other paths are relative to it.",
            "DIR",
            request=HARMLESS,
            default=".",
        ),
        Option("attempt", "--attempt", TEXT, "The log of attempt N instead of the last one's.", "N"),
        Option("exit_code", "--exit-code", FLAG, "Exit with 1 when there is work."),
        Option("dot", "--dot", FLAG, "Text for graphviz (the default)."),
        Option("mermaid", "--mermaid", FLAG, "Text for Mermaid."),
        Option("svg", "--svg", FLAG, "A picture, drawn by graphviz's dot where that is installed."),
        Option("html", "--html", FLAG, "One self-contained page."),
        Option("steps", "--steps", FLAG, "Draw steps instead of their instances."),
        Option("output", "-o --output", TEXT, "Write to FILE instead of standard output.", "FILE"),
        Option("unprotect", "--force", FLAG, "Remove protected outputs, too."),
        Option("orphans", "--orphans", FLAG, "Only what steps or instances that are gone have made."),
        Option("size", "--size", TEXT, "Size to trim the cache to, such as 5GB.", "SIZE", value="size"),
        Option("recipe", "--recipe", TEXT, "The recipe (default: that of the last run).", "RECIPE"),
    )
}


def options_of(**how: str) -> tuple[str, ...]:
    """The fields of the options that have these values: ``options_of(request=ANSWER)``."""
    return tuple(
        field
        for field, option in OPTIONS.items()
        if all(getattr(option, name) == value for name, value in how.items())
    )


RECIPE = Positional("recipe", "The recipe, a YAML file.")
TARGETS = Positional("targets", "Steps, instances or files (default: the recipe's targets).", False, True)
LAST_RECIPE = Positional("recipe_argument", "The recipe (default: that of the last run).", False)

_COMMON = "debug trust workspace"
BEFORE_VERB = tuple(_COMMON.split())
"""Fields of the options that may stand before the verb."""
_LOAD = f"set config {_COMMON}"
_BUDGET = "max_cpu max_mem max_load max_time max_energy max_carbon country energy"
_HOSTS = "host hosts accept_new_host_keys connect_timeout"
_DECIDE = f"force only skip resource cache cache_readonly no_cache rehash {_LOAD}"

VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "run",
            "Bring targets up to date.",
            (RECIPE, TARGETS),
            f"jobs keep_going dry_run backend dask_ca dask_cert dask_key {_HOSTS} lease reconnect wait retries "
            f"strict audit json quiet verbose "
            f"{_BUDGET} {_DECIDE}",
        ),
        Verb(
            "plan",
            "Say what a run would do and why.",
            (RECIPE, TARGETS),
            f"jobs host hosts exit_code json quiet verbose {_BUDGET} {_DECIDE}",
        ),
        Verb(
            "why",
            "Explain the decision for one step, instance or file.",
            (RECIPE, Positional("target", "A step, an instance or a file.")),
            f"json {_DECIDE}",
        ),
        Verb(
            "graph",
            "Draw the graph, coloured by state.",
            (RECIPE, TARGETS),
            f"dot mermaid json svg html steps output host hosts {_DECIDE}",
        ),
        Verb(
            "validate", "Check everything that can be known without running.", (RECIPE,), f"resource {_LOAD}"
        ),
        Verb("list", "List steps and targets.", (RECIPE,), f"json {_LOAD}"),
        Verb("status", "Show how the last run ended.", (LAST_RECIPE,), f"recipe json verbose {_COMMON}"),
        Verb(
            "log",
            "Print the log of an instance.",
            (Positional("target", "A step, an instance or a file."), LAST_RECIPE),
            f"attempt recipe {_LOAD}",
        ),
        Verb(
            "report",
            "Write one self-contained page about the last run.",
            (LAST_RECIPE,),
            f"output recipe {_LOAD}",
        ),
        Verb("history", "List past runs.", (LAST_RECIPE,), f"recipe json {_COMMON}"),
        Verb("context", "Show the context, and who set what.", (LAST_RECIPE,), f"recipe json {_LOAD}"),
        Verb(
            "clean", "Remove the outputs that f0make made.", (RECIPE,), f"dry_run unprotect orphans {_LOAD}"
        ),
        Verb("cache stats", "Show the size and the hit rates of the cache.", (), f"cache json {_COMMON}"),
        Verb("cache gc", "Trim the cache, oldest use first.", (), f"size cache json {_COMMON}"),
        Verb(
            "cache verify", "Hash every blob again; exit 1 if one was corrupt.", (), f"cache json {_COMMON}"
        ),
        Verb(
            "hosts check",
            "Say for each host what a run there would meet; exit 5 when one cannot be used.",
            (),
            f"{_HOSTS} json {_COMMON}",
        ),
        Verb("schema", "Print the JSON Schema of recipes, for editors.", (), _COMMON),
        Verb("init", "Write a small working recipe into an empty directory.", (), _COMMON),
    )
}

GROUPS = {"cache": "Look after the cache.", "hosts": "Look after hosts."}
"""Groups of commands, with their help."""
