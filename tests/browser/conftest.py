"""Tests in a real browser. `make test-browser` runs them; in other runs they are skipped."""

import pytest

from tools.screenshot import CHROMIUM


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium, or the one that playwright downloaded."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--no-proxy-server"])
        yield running
        running.close()
