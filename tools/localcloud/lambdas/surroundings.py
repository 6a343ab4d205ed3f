"""Provides exactly what a function has on Lambda: its package, the runtime's modules, the environment variables.

From this machine's Python it has only what Lambda's runtime includes (boto3 and the runtime client), so a module that
is missing in the package is missing here too.
"""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from tools.localcloud.account import Account

CARRIED_BY_LAMBDA = ("boto3", "awslambdaric")


class Surroundings:
    """The runtime's modules, and a folder of packages, which local clouds can share."""

    def __init__(self, account: Account, runtime: Path, packages: Path):
        self._account, self._packages = account, packages
        self._runtime = _runtime_folder(runtime)
        self._lock = threading.Lock()

    def package(self, function: Any) -> Path:
        """The files of the deployment package, unzipped once per content. Functions do not write to them."""
        root = self._packages / base64.b64decode(function.code_sha_256).hex()
        with self._lock:
            if not root.exists():
                self._packages.mkdir(parents=True, exist_ok=True)
                making = Path(tempfile.mkdtemp(dir=self._packages))
                with zipfile.ZipFile(io.BytesIO(function.code_bytes)) as package:
                    package.extractall(making)
                try:
                    making.rename(root)
                except OSError:  # another local cloud was faster
                    shutil.rmtree(making)
        return root

    def environ(self, function: Any, log_group: str, log_stream: str, token: str) -> dict[str, str]:
        """The variables from the template and from Lambda, without those of this process."""
        declared = {str(key): str(value) for key, value in function.environment_vars.items()}
        return declared | {
            "AWS_ACCESS_KEY_ID": self._account.role_key(function.role),
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_SESSION_TOKEN": token,  # identifies a worker of a function
            "AWS_DEFAULT_REGION": function.region,
            "AWS_REGION": function.region,
            "AWS_ENDPOINT_URL": self._account.endpoint,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
            "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
            "LAMBDA_RUNTIME_DIR": str(self._runtime),
            "LAMBDA_TASK_ROOT": str(self.package(function)),
            "LANG": "en_US.UTF-8",
            "PATH": os.defpath,
            "PYTHONPATH": str(self._runtime),
            "PYTHONUTF8": "1",  # the meaning of LANG on Lambda; this machine may not have that locale
            "TZ": ":UTC",
            "_HANDLER": function.handler,
        }


def _runtime_folder(folder: Path) -> Path:
    """A folder with links to exactly the modules in Lambda's Python runtime."""
    folder.mkdir(parents=True)
    for distribution in _with_dependencies(CARRIED_BY_LAMBDA):
        for file in distribution.files or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__", "bin") and not (folder / top).exists():
                (folder / top).symlink_to(str(distribution.locate_file(top)))
    return folder


def _with_dependencies(names: tuple[str, ...]) -> Iterator[metadata.Distribution]:
    waiting, seen = list(names), set()
    while waiting:
        name = waiting.pop().lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # needed only on another Python or platform
            continue
        yield distribution
        for requirement in distribution.requires or []:
            if "extra ==" not in requirement:
                waiting.append(re.split(r"[^\w.-]", requirement, maxsplit=1)[0])
