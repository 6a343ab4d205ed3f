"""Settings in the terminal of someone who works with AWS."""

from typing import Final

ENDPOINTS: Final = [
    "AWS_ENDPOINT_URL",
    *(f"AWS_ENDPOINT_URL_{name}" for name in ("S3", "STS", "CLOUDFORMATION", "LAMBDA")),
]


def developers(url: str) -> dict[str, str]:
    """Settings that make the AWS SDK and CLI call `url` or fail, or change the behavior of a shell."""
    return dict.fromkeys(ENDPOINTS, url) | {
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",  # pragma: allowlist secret
        "AWS_SECRET_ACCESS_KEY": "a secret",  # pragma: allowlist secret
        "AWS_SESSION_TOKEN": "a token",
        "AWS_PROFILE": "work",
        "AWS_DEFAULT_PROFILE": "work",
        "AWS_REGION": "us-west-2",
        "AWS_DEFAULT_OUTPUT": "yaml",
        "AWS_CA_BUNDLE": "/nowhere.pem",
        "AWS_MAX_ATTEMPTS": "1",
        "HTTP_PROXY": url,
        "http_proxy": url,
        "NO_PROXY": "example.com",
        "CDPATH": "/:/usr:/tmp",
    }
