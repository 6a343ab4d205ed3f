"""The README's picture: the page that `make demo` has written, as a browser shows it. `make screenshot` runs it."""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM

ROOT = Path(__file__).resolve().parents[1]
PAGE, PICTURE = ROOT / "demo-output/index.html", ROOT / "docs/gallery.jpg"


def main() -> int:
    """Writes docs/gallery.jpg and returns the exit status."""
    if not PAGE.exists():
        print("screenshot: run `make demo` first", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1160, "height": 1010})
        tab.goto(PAGE.as_uri())
        tab.wait_for_load_state("networkidle")
        tab.screenshot(path=PICTURE, type="jpeg", quality=70)
        browser.close()
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size >> 10} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
