"""Who is speaking: the account, the region and the clients of the local cloud's own services.

What AWS does behind the scenes (CloudFormation creating a bucket, Lambda writing logs, an alarm
publishing a message) happens here through the ordinary API, over HTTP, as any other caller's would.
Only what no API offers is patched into moto.
"""

import hashlib
import threading
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from moto.core import DEFAULT_ACCOUNT_ID

ACCOUNT_ID = str(DEFAULT_ACCOUNT_ID)

# In the older regions `aws sqs` of AWS CLI 1 goes to an endpoint of its own, whatever AWS_ENDPOINT_URL says
# (awscli/customizations/overridesslcommonname.py). Zurich is not on that list.
DEFAULT_REGION = "eu-central-2"

# moto reads the account from the access key; every key it has not issued itself is the default account.
# The form (20 capitals and digits) is AWS's; what it spells tells the callers apart in the access log.
USER_ACCESS_KEY = "AKIALOCALCLOUDUSER00"  # pragma: allowlist secret
SERVICE_ACCESS_KEY = "AKIALOCALCLOUDAWS000"  # pragma: allowlist secret


def role_access_key(role_arn: str) -> str:
    """The temporary key under which a function with this role speaks: stable, so that its calls can be found."""
    return "ASIA" + hashlib.sha256(role_arn.encode()).hexdigest()[:16].upper()


@dataclass
class Account:
    """The endpoint, and boto3 clients that speak to it as AWS's own services do."""

    endpoint: str
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # boto3 sessions cannot be shared

    def client(self, service: str, region: str = DEFAULT_REGION) -> Any:
        with self._lock:
            if (service, region) not in self._clients:
                session = boto3.session.Session()
                self._clients[service, region] = session.client(
                    service,
                    endpoint_url=self.endpoint,
                    region_name=region,
                    aws_access_key_id=SERVICE_ACCESS_KEY,
                    aws_secret_access_key="local",  # nothing checks signatures here
                    config=Config(
                        max_pool_connections=50,
                        retries={"mode": "standard", "max_attempts": 3},
                        s3={"addressing_style": "path"},
                    ),
                )
            return self._clients[service, region]
