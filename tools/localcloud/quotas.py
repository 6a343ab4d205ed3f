"""Lambda's GetAccountSettings, which moto does not answer: how much may run at once, and how much of it is free."""

from __future__ import annotations

import json
from typing import Any

from moto.awslambda import models, responses, urls

CONCURRENCY = 1000  # what AWS gives an account by default
CODE_SIZE = 80_530_636_800  # 75 GB of packages


def get_account_settings(self: Any) -> str:
    functions = models.lambda_backends[self.current_account][self.region].list_functions()
    reserved = sum(int(function.reserved_concurrency or 0) for function in functions)
    return json.dumps(
        {
            "AccountLimit": {
                "TotalCodeSize": CODE_SIZE,
                "CodeSizeUnzipped": 262_144_000,
                "CodeSizeZipped": 52_428_800,
                "ConcurrentExecutions": CONCURRENCY,
                "UnreservedConcurrentExecutions": CONCURRENCY - reserved,
            },
            "AccountUsage": {"TotalCodeSize": sum(one.code_size for one in functions), "FunctionCount": len(functions)},
        }
    )


def install() -> None:
    responses.LambdaResponse.get_account_settings = get_account_settings
    urls.url_paths[r"{0}/(?P<api_version>[^/]+)/account-settings/?$"] = responses.LambdaResponse.dispatch
