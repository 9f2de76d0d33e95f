"""Takes the README's picture of the page, from a service that runs and has planned.

python docs/picture.py http://127.0.0.1:8080 [--site NAME] [--dark] [--out docs/page.png]
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

SIZE = {"width": 1440, "height": 1010}
SHARPNESS = 1.5
"""Pixels of the picture per pixel of the page."""


def main(arguments: list[str]) -> int:
    """Open the page, wait for the plan, and keep what is seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--site")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("page.png"))
    asked = parser.parse_args(arguments)
    chromium = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if chromium is None:
        print("no Chromium on the PATH", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, device_scale_factor=SHARPNESS, color_scheme="dark" if asked.dark else "light")
        page.goto(asked.address + (f"/?site={asked.site}" if asked.site else "/"))
        page.wait_for_selector("#setpoint tbody tr")
        page.evaluate("document.fonts.ready")
        page.screenshot(path=str(asked.out))
        browser.close()
    print(asked.out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
