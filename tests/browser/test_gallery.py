"""The page of results in a real browser: what it shows, what it filters, and that it sends no requests."""

import re
from contextlib import closing

import pytest

from scripts import page, saved
from tools.videos import video
from video_intake.decoder import Decoder
from video_intake.inspection import judge
from video_intake.media.limits import Limits
from video_intake.uploads import NO_VERSION, Upload

playwright = pytest.importorskip("playwright.sync_api", reason="`make test-browser` installs it")

HOSTILE = "<img src=x onerror=alert(1)>\"'&\N{RIGHT-TO-LEFT OVERRIDE}.mp4"
SIZES = [(400, 800), (1280, 900)]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """A page of four uploads, one with a storyboard and one with a key that is an attack, as a URL."""
    folder = tmp_path_factory.mktemp("gallery")
    contents = {
        "beach.mp4": video(seconds=2),
        "portrait.mov": video("mov", seconds=0.4, rotation=90),
        "notes.mp4": b"Dear all, the video is attached.",
        HOSTILE: video(seconds=0.4),
    }
    cards = []
    for key, content in contents.items():
        upload = Upload("videos", key, NO_VERSION, len(content), "e", "", "2026-07-01T10:00:00.000Z")
        read = lambda start, end, content=content: content[start:end]  # noqa: E731
        with closing(Decoder()) as decoder:
            result, pictures = judge(decoder, upload, read, Limits(storyboard=True), 30)
        cards.append((result, saved.write(result, pictures, folder)))
    email = page.Email(f"Video rejected: {HOSTILE}", "<script>alert(1)</script>")
    shown = page.Page("Videos", alarms=[("Errors", "OK")], metrics=[("VideosProcessed", "sum", "4")], emails=[email])
    return page.write(folder, shown, cards).as_uri()


@pytest.fixture
def opened(browser, gallery):
    """The page, with its requests and the browser's errors."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.asked, tab.complaints = [], []
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.on("console", lambda message: tab.complaints.append(message.text))
    tab.on("dialog", lambda dialog: tab.complaints.append(dialog.message) or dialog.dismiss())
    tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.goto(gallery)
    yield tab
    tab.close()


def keys(tab):
    return [card.inner_text() for card in tab.locator(".card:visible .key").all()]


def test_the_page_requests_only_its_own_pictures(opened):
    opened.locator(".screen[data-film]").first.hover()
    playwright.expect(opened.locator(".film").first).to_have_css("background-image", re.compile("storyboard.jpg"))
    assert all(url.startswith("file://") for url in opened.asked)
    assert [url.rpartition("/")[2] for url in opened.asked if url.endswith(".jpg")]
    assert opened.complaints == []


def test_every_poster_keeps_its_aspect_ratio(opened):
    opened.wait_for_load_state("networkidle")
    for image in opened.locator(".screen img").all():
        natural, declared, fitting = image.evaluate(
            "i => [i.naturalWidth / i.naturalHeight, i.getAttribute('width') / i.getAttribute('height'),"
            " getComputedStyle(i).objectFit]"
        )
        assert natural == pytest.approx(declared, rel=0.02)
        assert fitting == "contain"
        screen, box = image.locator("..").bounding_box(), image.bounding_box()
        assert box["height"] <= screen["height"]


def test_a_storyboard_plays_while_hovered_or_focused(opened):
    film = opened.locator(".film").first
    assert film.evaluate("film => getComputedStyle(film).opacity") == "0"
    opened.get_by_role("searchbox").focus()
    opened.keyboard.press("Tab")
    playwright.expect(film).to_have_css("opacity", "1")
    playwright.expect(film).not_to_have_css(
        "background-position", film.evaluate("film => film.style.backgroundPosition")
    )


def test_the_page_filters_by_verdict_and_text(opened):
    assert len(keys(opened)) == 4
    opened.get_by_role("radio", name="Rejected").check(force=True)
    assert keys(opened) == ["notes.mp4"]
    assert opened.locator("#shown").inner_text() == "1 of 4 shown"
    opened.get_by_role("radio", name="All").check(force=True)
    opened.get_by_role("searchbox").fill("PORTRAIT mov")
    assert keys(opened) == ["portrait.mov"]
    opened.get_by_role("searchbox").fill("nothing has this")
    assert keys(opened) == []


def test_a_hostile_key_stays_text_and_on_its_line(opened):
    [key] = [key for key in keys(opened) if "onerror" in key]
    assert key == HOSTILE.replace("\N{RIGHT-TO-LEFT OVERRIDE}", "\N{REPLACEMENT CHARACTER}")
    assert opened.locator("img[src='x'], pre script").count() == 0
    assert "<script>alert(1)</script>" in opened.locator(".email pre").inner_text()
    opened.get_by_alt_text(f"Poster of {key}").scroll_into_view_if_needed()
    opened.wait_for_load_state("networkidle")
    assert opened.evaluate("[...document.images].every(image => image.complete && image.naturalWidth)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_page_fits_the_window_and_is_readable(browser, gallery, scheme, width, height):
    tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    tab.goto(gallery)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    for part in ("body", ".card p", ".quiet", ".badge", ".effort"):
        assert contrast(tab, part) >= 4.5, f"{part}, as WCAG 2 asks for text of this size"
    tab.close()


def contrast(tab, part: str) -> float:
    """Contrast of an element's text to its background: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""
    text, under = tab.evaluate(
        """part => {
          let element = document.querySelector(part);
          const text = getComputedStyle(element).color;
          while (getComputedStyle(element).backgroundColor === "rgba(0, 0, 0, 0)") element = element.parentElement;
          const numbers = color => color.match(/[0-9.]+/g).slice(0, 3).map(Number);
          return [numbers(text), numbers(getComputedStyle(element).backgroundColor)];
        }""",
        part,
    )
    darker, lighter = sorted(map(luminance, (text, under)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(color: list[float]) -> float:
    parts = [each / 255 for each in color]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
