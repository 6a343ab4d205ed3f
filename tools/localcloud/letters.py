"""The e-mails that a local cloud has sent, as a person reads them."""

import email.policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path


def letters(mailbox: Path, after: int = 0) -> list[EmailMessage]:
    """The e-mails in `mailbox`, in the order in which they came, without the first `after` of them."""
    parser = BytesParser(_class=EmailMessage, policy=email.policy.default)
    return [parser.parsebytes(file.read_bytes()) for file in sorted(mailbox.glob("*.eml"))[after:]]


def letter(message: EmailMessage) -> str:
    """An e-mail as a person sees it, without the footer that SNS puts under each."""
    lines = [f"To: {message['To']}", f"Subject: {subject(message)}", "", *text(message).splitlines()]
    return "\n".join("  | " + line for line in lines).replace("  | \n", "  |\n")


def text(message: EmailMessage) -> str:
    """What it says, without the footer."""
    body = message.get_body()
    said, _, _ = str(body.get_content() if body else "").partition("\n--\n")  # then: how to unsubscribe
    return said.strip()


def is_all_clear(message: EmailMessage) -> bool:
    """Whether an alarm writes that it is OK, which each does once after it was made."""
    return subject(message).startswith("OK: ")


def subject(message: EmailMessage) -> str:
    """On one line, however long; the library begins a new one before a long word, and keeps the space after that."""
    return str(message["Subject"]).strip()
