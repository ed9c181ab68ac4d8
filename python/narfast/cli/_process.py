"""Start and end of a command: standard streams, signals, errors, exit codes."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from narfast.errors import NarfastError, printable

__all__ = [
    "INTERRUPTED",
    "TERMINATED",
    "Commands",
    "Terminated",
    "end_on_sigterm",
    "failure",
    "repair_standard_streams",
]

_BAD_INPUT = 2
_UsageError: Any = typer.BadParameter.__base__  # not exported under its own name
INTERRUPTED = 130
TERMINATED = 143
_SAME_SIGNAL = 2.0  # seconds: timeout(1) and supervisors signal both this process and its group


class Terminated(BaseException):
    """SIGTERM arrived. Finished work is kept, as after Ctrl-C."""


def end_on_sigterm() -> None:
    """End this process on SIGTERM as on Ctrl-C, unless the parent process ignores SIGTERM."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return
    last = float("-inf")

    def stop(*_: object) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before > _SAME_SIGNAL:
            raise Terminated

    signal.signal(signal.SIGTERM, stop)


class _ClosedStdout(io.TextIOBase):
    """Replaces a stdout that was closed before the program started."""

    def write(self, text: str) -> int:
        raise NarfastError(
            "stdout is closed, so the result cannot be written; send it to a file or a pipe"
        )


def repair_standard_streams() -> None:
    """Make the standard streams usable.

    If a descriptor up to 2 is closed, the next opened file would get its number, and a library's
    prints would end up in that file.
    """
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) <= 2:
        pass
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = _ClosedStdout()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]


class Commands(TyperGroup):
    """Turns every error that a user can cause into one line on stderr and an exit code."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Parse the options before the command."""
        with _endings():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        with _endings():
            return super().invoke(ctx)


@contextlib.contextmanager
def _endings() -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        raise _usage(error) from None
    except NarfastError as error:
        raise failure(str(error)) from None
    except KeyboardInterrupt as stop:
        raise _stopped("interrupted", stop, INTERRUPTED) from None
    except Terminated as stop:
        raise _stopped("terminated", stop, TERMINATED) from None
    except BrokenPipeError:
        # The reader (head, less) has exited: nobody can see a message.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except OSError as error:
        if error.errno is None:
            raise
        raise failure(_system_error(error)) from None
    except MemoryError:
        raise failure("out of memory; use fewer or smaller networks at a time") from None


def _stopped(how: str, stop: BaseException, code: int) -> typer.Exit:
    """Print that the command was stopped, and what is kept; raise the returned value."""
    typer.echo("; ".join([how, *getattr(stop, "__notes__", [])]), err=True)
    return typer.Exit(code)


def failure(message: str) -> typer.Exit:
    """Print an error in one line; raise the returned value."""
    typer.echo(f"error: {printable(' '.join(message.split()))}", err=True)
    return typer.Exit(_BAD_INPUT)


def _usage(error: Any) -> Exception:
    """Return the exception to raise for a command line that cannot be parsed."""
    if type(error).__name__ == "NoArgsIsHelpError":  # no error: the user wants to see the help
        return error  # type: ignore[no-any-return]
    command = error.ctx.command_path if error.ctx else "narfast"
    return failure(f"{error.format_message().rstrip('.')}; see '{command} --help'")


_REMEDIES = {
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "free some space or choose another disk",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "check its permissions or choose another place",
    errno.EPERM: "check its permissions or choose another place",
    errno.ENOENT: "check the path",
    errno.EEXIST: "choose another name",
    errno.EISDIR: "give a file, not a folder",
    errno.ENOTDIR: "give a folder, not a file",
}


def _system_error(error: OSError) -> str:
    where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    remedy = _REMEDIES.get(error.errno or 0)
    reason = (error.strerror or "system error").lower()
    return f"{where}{reason}" + (f"; {remedy}" if remedy else "")
