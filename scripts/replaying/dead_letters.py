"""`dead-letters`: lists the events that Lambda gave up on, with the reasons, and submits them again.

Messages are either records of Lambda's on-failure destination, or events with attributes, from EventBridge or a Lambda
dead-letter queue.
"""

import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import batched
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from scripts.replaying.progress import Progress
from scripts.stack import Stack
from video_intake import uploads
from video_intake.uploads import Upload

# Messages that were read are hidden from others and shown again at the end, by SQS if this process is killed.
HIDDEN_SECONDS: Final = 120
AT_ONCE: Final = 10  # SQS's limit of messages per request
QUIET_ANSWERS: Final = 2  # consecutive long polls, of all of SQS's servers, without a new message: all were seen
LATE_ANSWERS: Final = 20  # consecutive responses without earlier messages: later ones might go on forever


@dataclass(frozen=True)
class DeadLetter:
    """An event that could not be processed."""

    message_id: str
    receipt: str
    event: Any  # None if the record has none
    when: str
    sent: float  # to the queue, in seconds since 1970 on SQS's clock
    condition: str  # RetriesExhausted, EventAgeExceeded ...
    attempts: str
    error: str  # type and message
    request_id: str

    @property
    def uploads(self) -> list[Upload]:
        """The uploads in the event; none if it is not an S3 event."""
        try:
            return [one for one in uploads.parse(self.event) if isinstance(one, Upload)]
        except ValueError:
            return []

    @property
    def work(self) -> set[Any]:
        """Identifies the event's videos; without any, the event itself."""
        videos = {(one.bucket, one.key, one.version_id, one.etag, one.rerun) for one in self.uploads}
        return videos or {json.dumps(self.event, sort_keys=True)}


def parse(message: dict[str, Any]) -> DeadLetter:
    """Parses any message in the queue."""
    attributes = {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}
    sent = int(message["Attributes"]["SentTimestamp"]) / 1000
    try:
        body = json.loads(message["Body"])
    except ValueError:
        body = None
    record = body if isinstance(body, dict) and isinstance(body.get("requestContext"), dict) else {}
    context = record.get("requestContext", {})
    error = record.get("responsePayload")
    if isinstance(error, dict):  # the function's exception, or Lambda's report of a timeout or a killed process
        error = ": ".join(str(error[part]) for part in ("errorType", "errorMessage") if error.get(part))
    return DeadLetter(
        message["MessageId"],
        message["ReceiptHandle"],
        record.get("requestPayload") if record else body,
        str(record.get("timestamp") or uploads.timestamp(datetime.fromtimestamp(sent, UTC))),
        sent,
        str(context.get("condition") or attributes.get("ERROR_CODE") or attributes.get("ErrorCode", "unknown")),
        str(context.get("approximateInvokeCount", attributes.get("RETRY_ATTEMPTS", "?"))),
        str(error or attributes.get("ERROR_MESSAGE") or attributes.get("ErrorMessage", "")),
        str(context.get("requestId") or attributes.get("RequestID", "")),
    )


class Queue:
    """The failed-events queue, read once. On exit, messages that were not deleted become visible again.

    `late` counts messages that arrived after the first response: events that are submitted may fail again at once, so
    a run that included them might never end.
    """

    def __init__(self, sqs: Any, url: str) -> None:
        self.late = 0
        self._sqs, self._url = sqs, url
        self._hidden: dict[str, str] = {}  # message id → newest receipt

    def __enter__(self) -> "Queue":
        return self

    def __exit__(self, *_: object) -> None:
        for some in batched(self._hidden.items(), AT_ONCE, strict=False):
            entries = [
                {"Id": str(n), "ReceiptHandle": handle, "VisibilityTimeout": 0} for n, (_, handle) in enumerate(some)
            ]
            self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)

    def batches(self) -> Iterator[list[DeadLetter]]:
        """Yields each message once, in small batches, until there are no new ones."""
        seen: set[str] = set()
        quiet = late = 0
        began = None
        while quiet < QUIET_ANSWERS and late < LATE_ANSWERS:
            answer = self._receive()
            began = began or _answered(answer)
            messages = answer.get("Messages", [])
            self._hidden |= {message["MessageId"]: message["ReceiptHandle"] for message in messages}
            unseen = [parse(message) for message in messages if message["MessageId"] not in seen]
            seen |= {letter.message_id for letter in unseen}
            letters = [letter for letter in unseen if letter.sent <= began]
            self.late += len(unseen) - len(letters)
            quiet = 0 if unseen else quiet + 1
            late = 0 if letters else late + 1
            yield letters

    def _receive(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=AT_ONCE,
            WaitTimeSeconds=1,
            VisibilityTimeout=HIDDEN_SECONDS,
            AttributeNames=["SentTimestamp"],
            MessageAttributeNames=["All"],
        )
        return answer

    def delete(self, letters: list[DeadLetter]) -> None:
        """Raises RuntimeError if SQS did not delete a message."""
        if not letters:
            return
        entries = [{"Id": str(n), "ReceiptHandle": letter.receipt} for n, letter in enumerate(letters)]
        answer = self._sqs.delete_message_batch(QueueUrl=self._url, Entries=entries)
        kept = {int(failed["Id"]) for failed in answer.get("Failed", [])}
        for n, letter in enumerate(letters):
            if n not in kept:
                self._hidden.pop(letter.message_id, None)
        if kept:
            raise RuntimeError(f"{len(kept)} accepted events were not deleted; if submitted again, they are duplicates")


def _answered(answer: dict[str, Any]) -> float:
    """The end of the second in which SQS answered, on its clock, which SentTimestamp also uses."""
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    return (parsedate_to_datetime(date).timestamp() if date else time.time()) + 1


def run(stack: Stack, keys: list[str], reasons: list[str], *, apply: bool, discard: bool, workers: int) -> int:
    """Returns the exit status. Submits each video at most once, even if it fails again in the meantime."""
    progress = Progress()
    sent: set[Any] = set()  # in this run

    def submit(letter: DeadLetter) -> Exception | None:
        if discard:
            return None
        try:
            if not letter.uploads:
                raise RuntimeError(
                    "not about an upload, so it was kept. Run `missing` to find videos; --discard deletes it"
                )
            stack.submit(letter.event)
        except (ClientError, BotoCoreError, RuntimeError) as fault:
            return fault
        return None

    with Queue(stack.client("sqs"), stack.output("FailedEventsQueueUrl")) as queue, ThreadPoolExecutor(workers) as pool:
        for letters in queue.batches():
            chosen: list[DeadLetter] = []
            for letter in letters:
                if not _is_selected(letter, keys, reasons):
                    progress.count("not selected")
                elif apply and not discard and letter.work & sent:
                    progress.count("left for the next run")
                else:
                    chosen.append(letter)
                    sent |= letter.work
                    _show(progress, letter)
            if not apply:
                progress.count("in the queue", len(chosen))
                continue
            ends = list(zip(chosen, pool.map(submit, chosen), strict=True))
            for letter, fault in ends:
                if fault:
                    progress.failed(letter.request_id, fault)
            accepted = [letter for letter, fault in ends if fault is None]
            try:
                queue.delete(accepted)
            except (ClientError, BotoCoreError, RuntimeError) as fault:
                progress.failed("not deleted", fault)
            progress.count("discarded" if discard else "submitted again", len(accepted))
        progress.count("left for the next run", queue.late)
    advice = []
    if not apply and progress.counts["in the queue"]:
        advice.append(f"Nothing was changed. Pass --yes to {'discard them' if discard else 'submit them again'}.")
    if progress.counts["left for the next run"]:
        advice.append("Events that arrived during this run, or whose video it submitted, are left for the next run.")
    progress.summary(*advice)
    return int(
        any(progress.counts[what] for what in ("in the queue", "not selected", "left for the next run", "failed"))
    )


def _is_selected(letter: DeadLetter, keys: Iterable[str], reasons: Iterable[str]) -> bool:
    why = f"{letter.condition} {letter.error}".lower()
    return (not keys or any(upload.key in keys for upload in letter.uploads)) and (
        not reasons or any(reason.lower() in why for reason in reasons)
    )


def _show(progress: Progress, letter: DeadLetter) -> None:
    error = letter.error or "no error recorded"
    why = f"{letter.when} {letter.condition} after {letter.attempts} attempts: {error}"
    for upload in letter.uploads:
        progress.found(upload.key, upload.version_id, upload.bucket, " ".join(why.split()))
    if not letter.uploads:
        progress.found("(no upload)", f"request {letter.request_id}", "", " ".join(why.split()))
