"""Imports moto in two thirds of the time, and reads AWS's descriptions of its services once."""

import contextlib
import functools
import gc
from collections.abc import Iterator


def share_loader() -> None:
    """Makes all of botocore's sessions use one loader, which caches what it reads. moto creates dozens of sessions.

    Does nothing if that is already so.
    """
    from botocore import session

    if not hasattr(session.create_loader, "cache_info"):
        session.create_loader = functools.cache(session.create_loader)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """For imports of thousands of modules, none of which is ever garbage."""
    gc.disable()
    share_loader()
    yield
    gc.freeze()
    gc.enable()
