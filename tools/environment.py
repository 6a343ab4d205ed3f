"""An environment for everything that uses the local cloud, without the developer's own settings.

`make demo`, `make cloud` and the tests begin with `enter`, and their child processes inherit the environment. So
credentials reach no other endpoint, and no profile, proxy or shell option changes the results.
"""

import os
from collections.abc import Mapping
from typing import Final

# Prefixes of variables that the AWS SDKs and CLI, moto, Powertools and Python read
FOREIGN: Final = ("AWS_", "BOTO_", "MOTO_", "POWERTOOLS_", "PYTHON")
SHELL: Final = frozenset(
    {"BASH_ENV", "CDPATH", "ENV", "GLOBIGNORE", "POSIXLY_CORRECT"}
)  # these change how bash behaves
NOBODY: Final = {  # neither the developer's profiles nor the machine's role
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
PROXIES: Final = ("NO_PROXY", "no_proxy")
THIS_MACHINE: Final = ("127.0.0.1", "localhost")


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """A copy without the developer's settings. Proxies are kept for pip, but not used for this machine."""
    kept = {name: value for name, value in environ.items() if not name.startswith(FOREIGN) and name not in SHELL}
    direct = [host for name in PROXIES for host in environ.get(name, "").split(",") if host.strip()]
    without_proxy = ",".join(dict.fromkeys([*THIS_MACHINE, *direct]))
    return kept | NOBODY | dict.fromkeys(PROXIES, without_proxy)


def enter() -> None:
    """Cleans the environment of this process."""
    cleaned = clean(os.environ)
    os.environ.clear()
    os.environ.update(cleaned)
