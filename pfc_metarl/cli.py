"""The command line: ``pfc-metarl``."""

import argparse
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from pfc_metarl.errors import InputError
from pfc_metarl.version import __version__

FIGURES = {"two-step": "two_step", "two-step-conditions": "two_step_conditions"}
"""Figures by name: the module of pfc_metarl.paper that makes each."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="pfc-metarl",
        description="Prefrontal cortex as a meta-reinforcement learning system.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    reproduce = commands.add_parser(
        "reproduce",
        help="train, freeze, record, and draw a figure of the paper",
        epilog="Example: pfc-metarl reproduce two-step --seeds 8 --out runs",
    )
    add = reproduce.add_argument
    add("figure", choices=FIGURES, help="which figure")
    add("--seeds", type=int, metavar="N", default=8, help="number of networks (8)")
    add(
        "--preset",
        metavar="NAME",
        default="fast",
        help="fast: a minute; paper: the published settings, half an hour (fast)",
    )
    add(
        "--out",
        type=Path,
        metavar="DIR",
        default=Path("runs"),
        help="the run's folder is made in DIR (runs)",
    )
    add(
        "--device",
        metavar="NAME",
        default="cpu",
        help="cpu, cuda, or auto: cuda if there is one (cpu)",
    )
    add(
        "--kernels",
        metavar="NAME",
        default="auto",
        help="torch, compiled, or auto: compiled if numba is installed (auto)",
    )
    add(
        "--tensorboard",
        action="store_true",
        help="log training for TensorBoard, in the run's folder tensorboard",
    )
    add(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of the original animal data (else PFC_METARL_DATA, else download)",
    )
    add(
        "--again",
        action="store_true",
        help="compute the statistics and draw the figure anew; networks are kept",
    )
    reproduce.set_defaults(run=_reproduce)
    tasks = commands.add_parser(
        "tasks",
        help="list the tasks, or let ideal observers and baselines play them",
        epilog="Example: pfc-metarl tasks bandit two-step --play --out table.csv",
    )
    add = tasks.add_argument
    add("names", nargs="*", metavar="TASK", help="which tasks (all)")
    add("--play", action="store_true", help="say what every player earns")
    add("--episodes", type=int, metavar="N", default=10_000, help="per player (10000)")
    add("--out", type=Path, metavar="FILE", help="write the table as CSV, too")
    tasks.set_defaults(run=_tasks)
    return parser


def _tasks(arguments: argparse.Namespace) -> None:
    import torch

    from pfc_metarl.files import write_text
    from pfc_metarl.paper.task_table import listing, table
    from pfc_metarl.tasks import TASKS

    torch.set_num_threads(1)
    names = arguments.names or list(TASKS)
    if unknown := [name for name in names if name not in TASKS]:
        raise InputError(f"no task '{unknown[0]}'; expected some of {', '.join(TASKS)}")
    if arguments.episodes < 2:
        raise InputError(f"episodes is {arguments.episodes}; expected 2 or more")
    if arguments.play:
        found = table(names, arguments.episodes)
    else:
        found = listing(names)
        print("\n".join(" | ".join(map(str, row)) for row in found.values))
    if arguments.out is not None:
        write_text(arguments.out, found.to_csv(index=False))


def _reproduce(arguments: argparse.Namespace) -> None:
    # Imported here so that --help and errors of usage come at once.
    import torch

    from pfc_metarl.configuration import device_named, kernels_named, preset

    torch.set_num_threads(1)  # the processes of training use the other cores
    device = device_named(arguments.device)
    configuration = preset(
        arguments.preset,
        "two-step",
        arguments.seeds,
        device,
        kernels_named(arguments.kernels, device),
    )
    figure = import_module(f"pfc_metarl.paper.{FIGURES[arguments.figure]}")
    folder = figure.reproduce(
        configuration,
        arguments.out,
        arguments.data,
        again=arguments.again,
        tensorboard=arguments.tensorboard,
    )
    print(f"done: {folder / 'figure.pdf'}, {folder / 'report.md'}")


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv
        Its words; those of the shell when None.

    Returns
    -------
    int
        Exit code: 0; 2 when something given cannot be used; 130 when interrupted.
    """
    try:
        arguments = _parser().parse_args(argv)
        signal.signal(signal.SIGTERM, _interrupt)  # a scheduler's way to say Ctrl-C
        arguments.run(arguments)
    except InputError as error:
        print(f"pfc-metarl: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a full disk, say
        print(f"pfc-metarl: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "pfc-metarl: stopped; the same command goes on from the last checkpoint",
            file=sys.stderr,
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
