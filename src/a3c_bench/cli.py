"""The command `a3c-bench`: what all commands share. Each of them is a module of `a3c_bench.commands`."""

import os
import pkgutil
import sys
import traceback
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from a3c_bench import commands, output, supervision
from a3c_bench.errors import BadInputError, TrainingError, say
from a3c_bench.machine import require_address_space
from a3c_bench.math_threads import limit_math_threads, refused_by_numpy
from a3c_bench.processes import start_server

if TYPE_CHECKING:
    from a3c_bench.config import Config

LogFormat = Literal["text", "json"]
TRACEBACK = "A3C_BENCH_TRACEBACK"
"""Shows where in a worker something went wrong."""
UsageError: Any = typer.BadParameter.__mro__[1]
"""A mistake on the command line. Typer brings a Click of its own, in which this has no public name."""


class OneCommand(TyperCommand):
    """A command whose name is known to every mistake on its line, so that its own help is pointed at."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments that are left."""
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            error.ctx = error.ctx or ctx
            raise


class Commands(TyperGroup):
    """The modules of `a3c_bench.commands`; one is imported when it is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        names = (module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__))
        self.commands = {name: TyperCommand(name) for name in names}

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name; None if there is no module for it."""
        if cmd_name not in self.commands:
            return None
        module = import_module(f"{commands.__name__}.{cmd_name.replace('-', '_')}")
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name, cls=OneCommand)(module.run)
        return typer.main.get_command(single)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A reproducible benchmark pipeline for shared-model, multi-process actor-critic (A3C).",
)


def prepare(trains: bool = False, environment: str | None = None) -> "Config":
    """Validate params.yaml; what may import numpy comes after its libraries' threads are limited.

    trains: start the server of workers first, whose imports, a third of a second's, run beside ours. environment: one
    of the suite, in whose folder the command then is.
    """
    prepare_to_compute()
    if trains:
        start_workers_server()
    if environment is not None:
        from a3c_bench import suite

        return suite.enter(environment)
    from a3c_bench.config import load_config

    return load_config()


def prepare_to_compute() -> None:
    """Limit the threads of numpy's libraries before they are imported, after a look at what would run."""
    require_own_source()
    require_address_space()
    limit_math_threads()


def start_workers_server(*also: str) -> None:
    """Start the process from which workers are forked; also: what else it imports."""
    # First: it refuses some variables, of which the server would tell in its own way.
    import numpy  # noqa: F401

    start_server(also)


def require_own_source() -> None:
    """In a checkout, its own source must be what runs: not another checkout's, through an editable install."""
    own, running = Path.cwd() / "src" / "a3c_bench", Path(__file__).parent
    if own.is_dir() and not running.samefile(own):
        raise BadInputError(f"{running} would run, but this checkout has its own source; set PYTHONPATH=src")


def checked(trains: bool = False, environment: str | None = None) -> "Config":
    """`prepare`, and check what needs Gymnasium and numpy to be checked."""
    config = prepare(trains, environment)
    from a3c_bench.environments.make import describe
    from a3c_bench.kernels.library import open_kernels

    open_kernels()
    config.require_sense(describe(config.recipe))
    return config


def tell_version(asked: bool) -> None:
    """Print the version and exit, if that is asked."""
    if asked:
        print(f"a3c-bench {version('a3c-bench')}")
        raise typer.Exit


@app.callback()
def options(
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", envvar="A3C_BENCH_QUIET", help="Say nothing but errors.")
    ] = False,
    log: Annotated[
        LogFormat, typer.Option(envvar="A3C_BENCH_LOG", help="Show progress for people, or as JSON lines.")
    ] = "text",
    version: Annotated[
        bool, typer.Option("--version", callback=tell_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Options of every command; they reach the stages that DVC starts through the environment."""
    os.environ |= {"A3C_BENCH_QUIET": str(int(quiet)), "A3C_BENCH_LOG": log}


def main() -> None:
    """The entry: errors a user is meant to read become one line and an exit code."""
    # The switches of the tools' own reporting home: the pipeline needs no network.
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    output.keep_going()
    try:
        supervision.watch()
        code = app(prog_name="a3c-bench", standalone_mode=False)
    except UsageError as error:
        # Without any argument the help was the answer, and there is nothing left to say.
        code = error.exit_code
        if error.format_message():
            fail(usage(error), code)
    except (ImportError, RuntimeError) as error:
        refused = refused_by_numpy(error)
        if refused is None:
            end_unexpectedly()
        fail(refused, 2)
    except BadInputError as error:
        fail(with_notes(str(error), error), 2)
    except TrainingError as error:
        message, *trace = error.args
        for line in trace if os.environ.get(TRACEBACK) else ():
            print(line, file=sys.stderr)
        fail(with_notes(message, error), 1)
    except supervision.StoppedError as stopped:
        fail(with_notes(stopped.reason, stopped), stopped.exit_code)
    except Exception:  # a mistake of this program
        end_unexpectedly()
    supervision.leave(code or 0)


def end_unexpectedly() -> NoReturn:
    """Print where a mistake of this program is, and end."""
    traceback.print_exc()
    supervision.leave(1)


def usage(error: Any) -> str:
    """What is wrong with the command line, and where to read what is right."""
    command = error.ctx.command_path if error.ctx else "a3c-bench"
    return f"{error.format_message().removesuffix('.')} (`{command} --help` says what is allowed)"


def with_notes(message: str, error: BaseException) -> str:
    """The message, and what was noted on the error's way up."""
    return "; ".join([message, *getattr(error, "__notes__", [])])


def fail(message: str, exit_code: int) -> NoReturn:
    """Print one line and exit."""
    if "DVC_STAGE" in os.environ:
        message += "; what DVC removed comes back with `git checkout reports` and `dvc checkout`"
    say(message)
    sys.stdout.flush()
    sys.stderr.flush()
    # At once: whoever stopped the stage is waiting for its end, whatever threads an environment has left running.
    os._exit(exit_code)
