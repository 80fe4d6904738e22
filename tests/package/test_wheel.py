"""What a user gets: the wheel, not the checkout."""

import os
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def tracked() -> list[Path]:
    command = ["git", "-C", str(ROOT), "ls-files"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    return [Path(line) for line in listed.stdout.splitlines()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of what git knows of."""
    copy = tmp_path_factory.mktemp("checkout")
    for path in tracked():
        if (ROOT / path).is_file():
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            (copy / path).write_bytes((ROOT / path).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = (copy / "dist").glob("*.whl")
    return built


def packages() -> dict[str, str]:
    """Packages of setup.cfg, by folder."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    mapped = dict(
        line.split(" = ")
        for line in setup["options"]["package_dir"].split("\n")
        if line
    )
    folders = {}
    for name in setup["options"]["packages"].split():
        nearest = max((n for n in mapped if f"{name}.".startswith(f"{n}.")), key=len)
        below = name.removeprefix(nearest).replace(".", "/")
        folders[mapped[nearest] + below] = name
    return folders


def test_the_wheel_holds_what_git_holds_of_the_packages(wheel: Path) -> None:
    rooms = packages()
    expected = {
        f"{rooms[str(path.parent)].replace('.', '/')}/{path.name}"
        for path in tracked()
        if str(path.parent) in rooms
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected


def test_every_folder_with_modules_is_a_listed_package() -> None:
    top = {folder.split("/")[0] for folder in packages()}
    folders = {
        str(path.parent)
        for path in tracked()
        if path.suffix == ".py" and path.parts[0] in top
    }
    assert folders == set(packages())


def test_the_wheel_reproduces_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    installed, elsewhere = tmp_path / "installed", tmp_path / "elsewhere"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    (elsewhere / "tasks").mkdir(parents=True)  # every lab has a folder of that name
    environment = {
        name: value for name, value in os.environ.items() if name != "PFC_METARL_DATA"
    } | {
        "PYTHONPATH": str(installed),
        "XDG_CACHE_HOME": str(tmp_path),
        "PYTHONSAFEPATH": "",
    }
    program = (
        "import pfc_metarl, sys; from pfc_metarl.cli import main; "
        "assert 'installed' in pfc_metarl.__file__; "
        "sys.exit(main(['reproduce', 'two-step', '--seeds', '1']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (figure,) = (elsewhere / "runs").glob("two-step-fast-1seeds-*/figure.pdf")
    assert figure.stat().st_size > 0
