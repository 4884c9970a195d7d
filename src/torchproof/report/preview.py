"""A comment as a page of its own, drawn as GitHub draws it: for the demo and for a look before.

Nothing is fetched: the Mermaid charts, which are ours, are drawn here as SVG.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchproof.errors import HostError
from torchproof.report.svg import svg


if TYPE_CHECKING:
    from markdown_it import MarkdownIt

STYLE = Path(__file__).with_name("preview.css")

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<article class="comment">
<header><strong>{author}</strong> commented</header>
<div class="body">
{body}
</div>
</article>
</body>
</html>
"""


def page(text: str, *, title: str = "torchproof", author: str = "github-actions[bot]") -> str:
    """Return a comment's Markdown as an HTML page that needs no network.

    Raises:
        HostError: markdown-it-py is not installed.
    """
    body = _parser().render(_COMMENT.sub("", text, count=1))
    return _PAGE.format(
        title=html.escape(title),
        author=html.escape(author),
        style=STYLE.read_text("utf-8"),
        body=body,
    )


def _parser() -> MarkdownIt:
    try:
        from markdown_it import MarkdownIt
    except ModuleNotFoundError as error:
        remedy = "Install it: pip install 'torchproof[demo]'."
        raise HostError("the preview needs markdown-it-py", remedy) from error
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser.add_render_rule("fence", _fence)
    return parser


def _fence(_: Any, tokens: Any, position: int, *__: Any) -> str:
    token = tokens[position]
    if token.info.strip() == "mermaid":
        return f"<figure>{svg(token.content)}</figure>\n"
    return f"<pre><code>{html.escape(token.content)}</code></pre>\n"
