"""One environment for whatever speaks to the local cloud, in which nothing of the developer's own is left.

`make demo`, `make cloud` and the tests begin with `enter`, and what they start inherits it. Credentials reach no other
endpoint that way, and neither a profile, a proxy nor a shell's habits change what is shown or proven.
"""

import os
from collections.abc import Mapping
from typing import Final

# By their beginnings: what the AWS SDKs and CLI, moto, Powertools and Python read
FOREIGN: Final = ("AWS_", "BOTO_", "MOTO_", "POWERTOOLS_", "PYTHON")
SHELL: Final = frozenset({"BASH_ENV", "CDPATH", "ENV", "GLOBIGNORE", "POSIXLY_CORRECT"})  # what bash does differently
NOBODY: Final = {  # no profile of the developer's, and no role of the machine
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
PROXIES: Final = ("NO_PROXY", "no_proxy")
THIS_MACHINE: Final = ("127.0.0.1", "localhost")


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """A copy without what is the developer's own. Proxies stay, as pip may need them, but not for this machine."""
    kept = {name: value for name, value in environ.items() if not name.startswith(FOREIGN) and name not in SHELL}
    direct = [host for name in PROXIES for host in environ.get(name, "").split(",") if host.strip()]
    without_proxy = ",".join(dict.fromkeys([*THIS_MACHINE, *direct]))
    return kept | NOBODY | dict.fromkeys(PROXIES, without_proxy)


def enter() -> None:
    """Makes it the environment of this process."""
    cleaned = clean(os.environ)
    os.environ.clear()
    os.environ.update(cleaned)
