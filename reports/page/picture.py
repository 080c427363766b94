"""A picture of a page's first screen, for a README: `python -m loptbench.reports.page.picture`.

    python -m loptbench.reports.page.picture loptbench-report.html first-screen.png

It needs the browser extra and a chromium.
"""

import shutil
from pathlib import Path

import click

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str | None:
    """The path of a browser, if there is one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


@click.command()
@click.argument("page", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("picture", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--width", default=1280, show_default=True, help="Of the window, in pixels.")
@click.option("--height", default=1000, show_default=True, help="Of the window, in pixels.")
@click.option("--dark", is_flag=True, help="With the dark theme.")
def main(page: Path, picture: Path, width: int, height: int, dark: bool) -> None:
    """Open PAGE in a browser and save what is first seen of it as PICTURE, a PNG."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"a picture needs {error.name!r}, not installed: pip install 'loptbench[browser]'"
        ) from error
    executable = find_browser()
    if executable is None:
        raise click.ClickException(
            f"a picture needs a browser, and none of {', '.join(BROWSERS)} is on the PATH"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        tab = browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
        )
        tab.goto(page.resolve().as_uri())
        tab.screenshot(path=picture)
        browser.close()
    click.echo(picture.resolve())


if __name__ == "__main__":
    main()
