"""The API of CloudWatch Logs: queries through `insights`, saved queries, and an error for filters that moto ignores."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from typing import Any

from moto.logs import models, responses, utils
from moto.logs.exceptions import InvalidParameterException, LogsClientError

from tools.localcloud.cloudwatch import insights
from tools.localcloud.cloudwatch.insights_expressions import Malformed

KNOWN_FILTERS = re.compile(r'([A-Za-z]\w*( \w+)*|"[^"]*")?')  # words, or one term in quotes, or no filter


class MalformedQuery(LogsClientError):  # type: ignore[misc]  # moto's class is untyped to mypy
    def __init__(self, what: Malformed) -> None:
        super().__init__("MalformedQueryException", f"The local cloud cannot evaluate this: {what}")


class EventMessageFilter(utils.EventMessageFilter):  # type: ignore[misc]  # moto's class is untyped to mypy
    def __init__(self, pattern: str | None) -> None:
        if not KNOWN_FILTERS.fullmatch(pattern or ""):
            raise InvalidParameterException(f"The local cloud does not support the filter pattern {pattern}")
        super().__init__(pattern)


def install() -> None:
    """Installs engine and store in moto's Logs API."""
    saved: dict[str, dict[str, dict[str, Any]]] = {}  # region → id → definition
    plain_start = models.LogsBackend.start_query

    def start_query(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return plain_start(self, *arguments, **named)
        except Malformed as malformed:
            raise MalformedQuery(malformed) from malformed

    def put_query_definition(self: Any) -> str:
        said = {name: self._get_param(name) for name in ("name", "queryString", "logGroupNames")}
        mine = saved.setdefault(self.region, {})
        named = self._get_param("queryDefinitionId") or str(uuid.uuid4())
        told = {"queryDefinitionId": named, "lastModified": int(datetime.now(UTC).timestamp() * 1000)}
        mine[named] = told | {name: value for name, value in said.items() if value}
        return json.dumps({"queryDefinitionId": named})

    def describe_query_definitions(self: Any) -> str:
        prefix = self._get_param("queryDefinitionNamePrefix") or ""
        mine = [one for one in saved.get(self.region, {}).values() if one["name"].startswith(prefix)]
        return json.dumps({"queryDefinitions": sorted(mine, key=lambda one: str(one["name"]))})

    def delete_query_definition(self: Any) -> str:
        if saved.get(self.region, {}).pop(self._get_param("queryDefinitionId"), None) is None:
            raise InvalidParameterException("There is no such query definition.")
        return json.dumps({"success": True})

    models.EventMessageFilter = EventMessageFilter
    models.execute_query = insights.execute
    models.LogsBackend.start_query = start_query
    for method in (put_query_definition, describe_query_definitions, delete_query_definition):
        setattr(responses.LogsResponse, method.__name__, method)
