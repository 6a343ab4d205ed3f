"""The account, the Region, the access keys of this run, and the clients of AWS's own services.

What AWS does internally (CloudFormation creating a bucket, an alarm publishing a message) uses the public API here,
over HTTP, like any other caller. Only what no API offers is patched into moto.
"""

import secrets
import string
import threading
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from moto.core import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends

ACCOUNT_ID = str(DEFAULT_ACCOUNT_ID)

# In the older regions `aws sqs` of AWS CLI 1 goes to a separate endpoint, no matter what AWS_ENDPOINT_URL says
# (awscli/customizations/overridesslcommonname.py). Zurich is not on that list.
DEFAULT_REGION = "eu-central-2"


def _new_key(kind: str) -> str:
    """An access key ID in AWS's format. It is the secret, because signatures are not checked, and cannot be guessed."""
    return kind + "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(16))


@dataclass
class Account:
    """The endpoint, the keys of this run, and boto3 clients for AWS's own services."""

    endpoint: str
    user_key: str = field(default_factory=lambda: _new_key("AKIA"))
    service_key: str = field(default_factory=lambda: _new_key("AKIA"))
    _role_keys: dict[str, str] = field(default_factory=dict)
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _session: boto3.session.Session = field(default_factory=boto3.session.Session)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # threads cannot share a session, but its clients

    def role_key(self, role_arn: str) -> str:
        """The temporary key of functions with this role: always the same, so that their calls can be identified."""
        with self._lock:
            return self._role_keys.setdefault(role_arn, _new_key("ASIA"))

    def knows(self, key: str) -> bool:
        """Whether this run issued the key, directly or through moto's IAM or STS."""
        if key in (self.user_key, self.service_key, *list(self._role_keys.values())):
            return True
        partitions = [partition for account in list(iam_backends.values()) for partition in list(account.values())]
        return any(key in partition.access_keys for partition in partitions)

    def name_of(self, key: str) -> str:
        """For the log."""
        roles = {role_key: arn.rpartition("/")[2] for arn, role_key in list(self._role_keys.items())}
        return {self.user_key: "user", self.service_key: "aws"}.get(key) or roles.get(key, "other")

    def client(self, service: str, region: str = DEFAULT_REGION) -> Any:
        with self._lock:
            if (service, region) not in self._clients:
                self._clients[service, region] = self._session.client(
                    service,
                    endpoint_url=self.endpoint,
                    region_name=region,
                    aws_access_key_id=self.service_key,
                    aws_secret_access_key="local",
                    config=Config(
                        max_pool_connections=50,
                        retries={"mode": "standard", "max_attempts": 3},
                        s3={"addressing_style": "path"},
                    ),
                )
            return self._clients[service, region]
