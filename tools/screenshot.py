"""Takes the README's picture of the page written by `make demo`. `make screenshot` runs this."""

import shutil
import sys
from pathlib import Path

# The system's browser, or None for the one that playwright downloaded
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ROOT = Path(__file__).resolve().parents[1]
PAGE, PICTURE = ROOT / "demo-output/index.html", ROOT / "docs/gallery.jpg"


def main() -> int:
    """Writes docs/gallery.jpg and returns the exit status."""
    if not PAGE.exists():
        print("screenshot: run `make demo` first", file=sys.stderr)
        return 1
    from playwright.sync_api import sync_playwright  # installed by `make screenshot` only

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
