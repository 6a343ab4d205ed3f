"""Reads and formats the e-mails that a local cloud sent."""

import email.policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path


def letters(mailbox: Path, after: int = 0) -> list[EmailMessage]:
    """The e-mails in `mailbox` in order, without the first `after` of them."""
    parser = BytesParser(_class=EmailMessage, policy=email.policy.default)
    return [parser.parsebytes(file.read_bytes()) for file in sorted(mailbox.glob("*.eml"))[after:]]


def letter(message: EmailMessage) -> str:
    """An e-mail as text, without SNS's footer."""
    lines = [f"To: {message['To']}", f"Subject: {subject(message)}", "", *text(message).splitlines()]
    return "\n".join("  | " + line for line in lines).replace("  | \n", "  |\n")


def text(message: EmailMessage) -> str:
    """Its text, without the footer."""
    body = message.get_body()
    said, _, _ = str(body.get_content() if body else "").partition("\n--\n")  # then: how to unsubscribe
    return said.strip()


def is_all_clear(message: EmailMessage) -> bool:
    """Whether it is an alarm's OK notification, which each new alarm sends once."""
    return subject(message).startswith("OK: ")


def subject(message: EmailMessage) -> str:
    """The subject on one line: the library folds long ones, and keeps the space after the fold."""
    return str(message["Subject"]).strip()
