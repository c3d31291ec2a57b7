"""What the docs site needs beside docs/: pages from elsewhere, and links to them."""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "rawnet_jax/presets/general_1/card.md": "card.md",
    "vocoders/README.md": "vocoders.md",
}
"""File of the checkout: its page."""

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")
_FENCE = re.compile(r"^( *`{3,}\w+) [^\n`]*$", re.M)  # words for tests behind the language
_FROM_ROOT = {page: Path(source).parent for source, page in ELSEWHERE.items()}


def on_files(files: Any, config: Any) -> Any:
    """Add the pages from elsewhere."""
    for source, page in ELSEWHERE.items():
        content = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Point links at pages of the site; what is not a page keeps its text alone."""
    markdown = _FENCE.sub(r"\1", markdown)
    source = page.file.src_uri
    folder = _FROM_ROOT.get(source, Path("docs") / Path(source).parent)

    def pointed(match: re.Match[str]) -> str:
        text, target, anchor = match[1].removesuffix(".md"), match[2], match[3] or ""
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        place = Path(_normal(folder / target))
        if place.as_posix() in ELSEWHERE:
            return f"[{text}]({ELSEWHERE[place.as_posix()]}{anchor})"
        if place.parts[:1] == ("docs",):
            up = "../" * (len(Path(source).parts) - 1)
            return f"[{text}]({up}{place.relative_to('docs').as_posix()}{anchor})"
        if not (ROOT / place).exists():
            return match[0]  # a dead link: the build fails on it
        return text

    return _LINK.sub(pointed, markdown)


def _normal(path: Path) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
