"""The table of commands."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from bytewright.cli import outcome

# Command, and the module that holds it as a function of the same name.
COMMANDS = {
    "demo": "demonstrate",
    "count": "count",
    "show": "show",
    "encode": "encode",
    "decode": "encode",
    "convert": "convert",
    "inspect": "inspect",
    "train": "train",
    "count-pretokens": "pretokens",
    "prune": "prune",
    "merge": "merge",
    "encode-corpus": "corpus",
    "verify": "corpus",
    "doctor": "doctor",
}

# Command with commands of its own: what it is about, and the commands with the modules that hold
# them, each as a function of both names.
GROUPS = {
    "bytes": (
        "Probabilities of bytes from a model of tokens: exact wherever the text ends.",
        {
            "fit": "fitting",
            "next": "likelihood",
            "score": "likelihood",
            "page": "page",
            "sample": "drawing",
            "infill": "drawing",
            "compress": "packing",
            "decompress": "packing",
        },
    ),
}


def run(arguments: Sequence[str]) -> int:
    """Parse the arguments and run their command; errors are left to the caller."""
    result = build()(args=list(arguments), prog_name="bytewright", standalone_mode=False)
    return result if isinstance(result, int) else outcome.OK


def build() -> typer.Typer:
    """The application with its commands in the order of the table."""
    app = typer.Typer(
        help="Byte-exact tokenization, and exact probabilities of bytes from any model of tokens.",
        invoke_without_command=True,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name, module in COMMANDS.items():
        app.command(name)(_found(module, name.replace("-", "_")))
    for name, (about, commands) in GROUPS.items():
        group = typer.Typer(help=about, no_args_is_help=True)
        for command, module in commands.items():
            group.command(command)(_found(module, f"{name}_{command}"))
        app.add_typer(group, name=name)
    return app


def _found(module: str, name: str) -> Callable[..., int | None]:
    home = importlib.import_module(f"bytewright.cli.{module}")
    return _unhandled(getattr(home, name))


def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from bytewright import _core

        print(f"bytewright {_core.__version__}")
        raise typer.Exit


def _unhandled(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """Carry a broken pipe and Ctrl-C past typer, which has its own idea of how they end."""

    @functools.wraps(command)
    def wrapped(*args: object, **kwargs: object) -> int | None:
        try:
            return command(*args, **kwargs)
        except (BrokenPipeError, KeyboardInterrupt, EOFError) as error:
            raise outcome.EndedError from error

    return wrapped
