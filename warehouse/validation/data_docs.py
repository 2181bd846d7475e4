"""Data Docs that open without a network.

Great Expectations writes one page per suite and per result, and pulls its styles and scripts from
the network. Here the pages keep their content and get a stylesheet of their own; the front page,
which needs scripts even to list the results, is replaced by one that shows every check, and each
check that did not pass gets a page of its own with the rows that break it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from warehouse.errors import LayerhouseError, UsageError
from warehouse.files import folder_at_once
from warehouse.validation.checks import all_checks
from warehouse.validation.report import ValidationReport

HERE = Path(__file__).parent
STYLE = "data_docs.css"
VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'
FAILED = "failed"
ROOM = 300
"""Letters of one value."""
MARK = "data-docs.txt"
MARK_TEXT = "Data Docs of `layerhouse validate`; the next run replaces this folder.\n"


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A new folder to write into, that takes `folder`'s place when the block ends well.

    Raises UsageError if `folder` holds anything but earlier Data Docs, LayerhouseError if it cannot
    be written.
    """
    is_ours = folder.is_dir() and ((folder / MARK).exists() or not any(folder.iterdir()))
    if folder.exists() and not is_ours:
        raise UsageError(f"{folder} holds other files; give an empty or new folder for Data Docs")
    try:
        with folder_at_once(folder) as staging:
            yield staging
    except OSError as error:
        raise LayerhouseError(f"cannot write Data Docs to {folder}: {error.strerror}") from error


def finish(folder: Path, report: ValidationReport) -> None:
    """Make the pages that were written into `folder` self-contained, and add a front page."""
    shutil.rmtree(folder / "static", ignore_errors=True)
    for page in sorted(folder.rglob("*.html")):
        root = os.path.relpath(folder, page.parent)
        page.write_text(offline(page.read_text(encoding="utf-8"), root), encoding="utf-8")
    shutil.copyfile(HERE / STYLE, folder / STYLE)
    _write_pages(folder, report)
    (folder / MARK).write_text(MARK_TEXT, encoding="utf-8")


def offline(html: str, root: str) -> str:
    """A page without anything from the network; `root` leads from the page to the front page."""
    title = re.search(r"Validations / (\w+)|Expectations / (\w+)", html)
    name = next(filter(None, title.groups()), "") if title else ""
    head = (
        f'<head><meta charset="UTF-8">{VIEWPORT}<title>{name} · Data Docs</title>'
        f'<link rel="stylesheet" href="{root}/{STYLE}"></head>'
    )
    html = re.sub(r"(?s)<head>.*?</head>", head, html, count=1)
    html = re.sub(r"<html>", '<html lang="en">', html, count=1)
    html = re.sub(r"(?s)<script\b.*?</script>|<footer\b.*?</footer>|<img\b.*?>", "", html)
    html = _one_way_back(html, root, name)
    html = re.sub(
        r'(?s)<div class="card mb-3">\s*<div class="card-header p-2">\s*<strong>Actions'
        r".*?</div>\s*</div>\s*</div>\s*</div>\s*</div>",
        "",
        html,
    )
    html = re.sub(r'(?s)<a\b[^>]*href="https?://[^"]*"[^>]*>(.*?)</a>', r"\1", html)
    return _told_apart(html)


def _one_way_back(html: str, root: str, name: str) -> str:
    """One link to the front page where theirs has two, and the table's name alone behind it."""
    front = rf'<a href="{re.escape(root)}/index.html">'
    html = re.sub(
        rf"(?s)<div class=\"float-left navbar-brand[^>]*>\s*{front}\s*</a>\s*</div>", "", html
    )
    html = re.sub(rf"({front})\s*Home\s*</a>", r"\1All checks</a>", html)
    here = r"(<li [^>]*breadcrumb-item active[^>]*>)[^<]*</li>"
    return re.sub(here, rf"\1{name}</li>", html, count=1) if name else html


def _told_apart(html: str) -> str:
    """A page whose parts are told to who hears it: one heading of it all and below it those of its
    parts, its content, and what each of its lists of links is. What a script would open is open.
    """
    html = re.sub(r'(?s)<p\b[^>]*>\s*<a data-toggle="collapse".*?</a>\s*</p>', "", html)
    html = re.sub(r'(?s)<nav (class="d-flex.*?)</nav>', r"<div \1</div>", html, count=1)
    html = re.sub(r'<nav (class="navbar[^"]*")[^>]*>', r'<nav \1 aria-label="Way back">', html)
    html = html.replace('<nav id="navigation"', '<nav id="navigation" aria-label="On this page"')
    html = html.replace(
        '<div class="container-fluid pt-4', '<div role="main" class="container-fluid pt-4'
    )
    for level, meant in (("4", "1"), ("5", "2"), ("6", "3")):
        html = re.sub(rf"(</?h){level}(?=[\s>])", rf"\g<1>{meant}", html)
    return html


def _write_pages(folder: Path, report: ValidationReport) -> None:
    """The front page, and in `failed/` one of each check that did not pass."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["told"] = _told
    pages = {path.parts[-4]: path for path in sorted(folder.glob("validations/*/*/*/*.html"))}
    links = {table: path.relative_to(folder).as_posix() for table, path in pages.items()}
    tables = [(table, list(group)) for table, group in groupby(report.checks, lambda c: c.table)]
    front = environment.get_template("data_docs.html.jinja")
    own = {
        (check.table, check.name): f"{FAILED}/{check.table}.{check.name}.html"
        for check in [*report.failures, *report.warnings]
    }
    said = front.render(report=report, tables=tables, links=links, own=own, style=STYLE)
    (folder / "index.html").write_text(said, encoding="utf-8")
    (folder / FAILED).mkdir()
    queries = {(check.table, check.name): check.sql for check in all_checks()}
    page = environment.get_template("failed_check.html.jinja")
    for check in [*report.failures, *report.warnings]:
        key = check.table, check.name
        said = page.render(check=check, sql=queries[key], table=links.get(check.table), style=STYLE)
        (folder / own[key]).write_text(said, encoding="utf-8")


def _told(value: object) -> str:
    """A value on a page: of a long one its beginning."""
    text = "NULL" if value is None else str(value)
    return text if len(text) <= ROOM else f"{text[:ROOM]}…"
