"""The registry of data sets: what each is, where its files are, who reads them.

A new data set is one converter module and one entry in :data:`DATA_SETS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from pfc_metarl.data import rat_twostep_miller2022


@dataclass(frozen=True)
class File:
    """A file as its authors published it."""

    name: str  # path below the data set's folder
    sha256: str  # 64 hexadecimal digits
    url: str  # http(s) address of these very bytes
    second_hand: bool = False  # sum copied from a survey, not computed from the file


@dataclass(frozen=True)
class Counts:
    """What a loaded table must hold: numbers to verify a converter against."""

    subjects: int
    sessions: int
    trials: int
    invalid: int  # trials with valid == 0
    forced: int  # trials with forced == 1


@dataclass(frozen=True)
class DataSet:
    """A published data set and the function that reads it."""

    name: str
    title: str
    species: str
    task: str
    citation: str  # with DOI
    licence: str
    redistribution: bool  # may the files be passed on?
    source: str  # repository or page the files were taken from
    source_commit: str  # empty when the source has no versions
    source_path: str
    archive: str  # DOI of the authors' own archive
    files: tuple[File, ...]
    convert: Callable[[Path], xr.Dataset]  # folder of verified files -> trial table
    counts: Counts

    def attributes(self) -> dict[str, str]:
        """Return the provenance that goes into the trial table's attributes."""
        return {
            "title": self.title,
            "species": self.species,
            "task": self.task,
            "citation": self.citation,
            "licence": self.licence,
            "source": self.source,
            "source_commit": self.source_commit,
            "source_path": self.source_path,
            "source_sha256": " ".join(file.sha256 for file in self.files),
            "original_archive": self.archive,
        }


_MILLER_SOURCE = "https://github.com/Brody-Lab/MixtureAgentsModels"
_MILLER_COMMIT = "748f21648eaf7b6bde0af1b0577cdd2023068a0b"
_MILLER_PATH = "data/ofc_physdata.mat"

RAT_TWOSTEP_MILLER2022 = DataSet(
    name="rat_twostep_miller2022",
    title="Rat two-step task, electrophysiology sessions (OFC)",
    species="Rattus norvegicus (Long-Evans)",
    task=(
        "two-step, rat version of Miller et al. 2017: left/right choice port, "
        "probabilistic transition (80/20, congruent in some rats, incongruent in "
        "others) to a left/right outcome port, reward probabilities 80/20 reversing "
        "in uncued blocks; no second-step choice"
    ),
    citation=(
        "Miller KJ, Botvinick MM, Brody CD (2022) Value representations in the rodent "
        "orbitofrontal cortex drive learning, not choice. eLife 11:e64575, "
        "doi:10.7554/eLife.64575; released with Venditto SJC, Miller KJ, Brody CD, "
        "Daw ND (2024) Dynamic reinforcement learning reveals time-dependent shifts "
        "in strategy during reward learning. eLife 13:RP97612, doi:10.7554/eLife.97612"
    ),
    licence="MIT (repository licence, Copyright 2024 Sarah Jo C. Venditto)",
    redistribution=True,
    source=_MILLER_SOURCE,
    source_commit=_MILLER_COMMIT,
    source_path=_MILLER_PATH,
    archive="figshare doi:10.6084/m9.figshare.20449140",
    files=(
        File(
            name=rat_twostep_miller2022.FILE,
            sha256="8b7f5649f572391605ace2a3b237441ab2a8a8b2c2037da2e62e548a618c69ed",
            # Put together from repository, commit and path; never tried, since this
            # was written without internet. The sum is of the file itself.
            url="https://raw.githubusercontent.com/Brody-Lab/MixtureAgentsModels/"
            f"{_MILLER_COMMIT}/{_MILLER_PATH}",
        ),
    ),
    convert=rat_twostep_miller2022.convert,
    counts=Counts(subjects=6, sessions=52, trials=36_413, invalid=62, forced=4_582),
)

DATA_SETS: dict[str, DataSet] = {
    data_set.name: data_set for data_set in (RAT_TWOSTEP_MILLER2022,)
}
"""Every known data set by name."""
