"""Writes every e-mail that an SNS subscriber would receive to a file.

moto accepts e-mail subscriptions but sends nothing. Subscriptions are confirmed immediately here, except those of
`unread@...`; on AWS, nothing arrives until someone follows the link in the confirmation e-mail.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from moto.sns import models, responses

DEFAULT_SUBJECT = "AWS Notification Message"
FOOTER = """
--
If you wish to stop receiving notifications from this topic, please click or visit the link below to unsubscribe:
{link}

Please do not reply directly to this email. If you have any questions or comments regarding this email, please contact us at https://aws.amazon.com/support
"""  # noqa: E501  # AWS's own lines


class Mailbox:
    """A folder of numbered .eml files, in the order in which they were sent."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = threading.Lock()
        self._number = len(list(folder.glob("*.eml")))

    def put(self, message: EmailMessage) -> None:
        with self._lock:
            self._number += 1
            finished = self.folder / f"{self._number:04d}.eml"
            unfinished = finished.with_suffix(".part")  # readers of *.eml never see an incomplete e-mail
            unfinished.write_bytes(message.as_bytes())
            unfinished.rename(finished)


def written(subscription: Any, subject: str | None, text: str) -> EmailMessage:
    topic = subscription.topic
    mail = EmailMessage()
    mail["From"] = Address(topic.display_name or "AWS Notifications", "no-reply", "sns.amazonaws.com")
    mail["To"] = subscription.endpoint
    mail["Subject"] = subject or DEFAULT_SUBJECT
    mail["Date"] = format_datetime(datetime.now(UTC))
    region = topic.sns_backend.region_name
    link = (
        f"https://sns.{region}.amazonaws.com/unsubscribe.html"
        f"?SubscriptionArn={subscription.arn}&Endpoint={subscription.endpoint}"
    )
    mail.set_content(f"{text.rstrip()}\n{FOOTER.format(link=link)}", charset="utf-8", cte="8bit")
    return mail


def is_pending(subscription: Any) -> bool:
    return str(subscription.protocol).startswith("email") and str(subscription.endpoint).startswith("unread@")


def install(mailbox: Mailbox) -> None:
    plain = models.Subscription.publish
    listed = responses.SNSResponse.list_subscriptions_by_topic

    def list_subscriptions_by_topic(self: Any) -> Any:
        answer = listed(self)
        found = answer.result["Subscriptions"]
        answer.result["Subscriptions"] = [_not_confirmed(each) if is_pending(each) else each for each in found]
        return answer

    def publish(self: Any, message: str, message_id: str, **options: Any) -> None:
        if is_pending(self):
            return
        if self.attributes.get("RawMessageDelivery") == "false":
            self.attributes["RawMessageDelivery"] = False  # moto treats any text as "true"
        if self.protocol not in ("email", "email-json"):
            plain(self, message, message_id, **options)
            return
        matcher = self._filter_policy_matcher
        if matcher is not None and not matcher.matches(options.get("message_attributes"), message):
            return
        text = message
        if options.get("message_structure") == "json":
            text = self._parse_message_structure(message, self.protocol)
        subject = options.get("subject")
        if self.protocol == "email-json":
            text = json.dumps(
                self.get_post_data(text, message_id, subject, options.get("message_attributes")), indent=2
            )
        mailbox.put(written(self, subject, text))

    models.Subscription.publish = publish
    responses.SNSResponse.list_subscriptions_by_topic = list_subscriptions_by_topic


def _not_confirmed(subscription: Any) -> dict[str, str]:
    """As in SNS's list: without an ARN."""
    return {
        "SubscriptionArn": "PendingConfirmation",
        "Owner": subscription.account_id,
        "Protocol": subscription.protocol,
        "Endpoint": subscription.endpoint,
        "TopicArn": subscription.topic.arn,
    }
