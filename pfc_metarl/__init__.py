"""Prefrontal cortex as a meta-reinforcement learning system (Wang et al. 2018)."""

from pathlib import Path

from pfc_metarl.registration import register_tasks
from pfc_metarl.version import __version__

# In a checkout the sub-packages tasks, fits, data and paper lie beside this folder;
# in an installed wheel they lie inside it and nothing needs doing.
_checkout = Path(__file__).resolve().parent.parent
if (_checkout / "setup.cfg").is_file() and (_checkout / "tasks").is_dir():
    __path__.append(str(_checkout))

register_tasks()

__all__ = ["__version__"]
