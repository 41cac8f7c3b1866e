"""The tutorial as an HTML site that needs nothing from elsewhere: MathML formulas, SVG diagrams, coloured code."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from latex2mathml.converter import convert
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from mdit_py_plugins.anchors import anchors_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name

from recsys_tf.publishing import check_replaceable, published_directory
from recsys_tf.tutorial.chapters import FIGURES, HOME, LANGUAGES, Language, chapter_names, language_of
from recsys_tf.tutorial.diagrams import drawn

FRONT = "README"
_STYLE, _TEMPLATE = HOME / "site.css", HOME / "site.html"
_LIGHT, _DARK = "default", "github-dark"
_OUTSIDE = "../../"
# Pictures from outside of the tutorial that its pages show, by their address in the text.
_ELSEWHERE = {"../../serving/server/shop/screenshot.png": "screenshot.png"}


def write_site(directory: Path) -> Path:
    """Write the whole site into a folder, replacing an earlier one, and return its front page.

    Raises InputError for a folder that holds anything else.
    """
    check_replaceable(directory, ("index.html", "site.css", "figures", *LANGUAGES))
    with published_directory(directory) as partial:
        for name, body in site_files().items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).write_bytes(body)
    return directory / "index.html"


def site_files() -> dict[str, bytes]:
    """Return every file of the site by its path: index.html (English), en/*.html, zh/*.html, figures, style."""
    files = {f"figures/{path.name}": path.read_bytes() for path in sorted(FIGURES.iterdir())}
    for address, name in _ELSEWHERE.items():
        files[f"figures/{name}"] = (HOME / "en" / address).resolve().read_bytes()
    files["site.css"] = (_STYLE.read_text(encoding="utf-8") + _colours()).encode("utf-8")
    for language in LANGUAGES:
        titles = {name: _title(language, name) for name in (FRONT, *chapter_names())}
        for name in titles:
            page, diagrams = _page(language, name, titles)
            files[f"{language}/{_file(name)}"] = page.encode("utf-8")
            files |= {f"figures/{diagram}": body for diagram, body in diagrams.items()}
    files["index.html"] = (
        b'<!doctype html><meta http-equiv="refresh" content="0; url=en/index.html"><title>recsys_tf</title>'
    )
    return files


def _page(language: Language, name: str, titles: Mapping[str, str]) -> tuple[str, dict[str, bytes]]:
    diagrams: dict[str, bytes] = {}
    body = _markdown(f"{language}-{name}", diagrams).render(_text(language, name))
    names = list(titles)
    at = names.index(name)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    page = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        language=language,
        title=titles[name],
        body=body,
        here=_file(name),
        chapters=[(_file(one), title) for one, title in titles.items()],
        before=(_file(names[at - 1]), titles[names[at - 1]]) if at else None,
        after=(_file(names[at + 1]), titles[names[at + 1]]) if at + 1 < len(names) else None,
    )
    return page, diagrams


def _markdown(prefix: str, diagrams: dict[str, bytes]) -> MarkdownIt:
    """Return a renderer of pages; the pictures of a page's diagrams are put into `diagrams` by file name."""
    markdown = MarkdownIt("commonmark").enable("table")
    markdown.use(dollarmath_plugin, renderer=_formula, double_inline=True)
    markdown.use(anchors_plugin, max_level=3, permalink=False)

    def fence(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        token = tokens[index]
        match language_of(token):
            case "mermaid":
                name = f"{prefix}-diagram-{len(diagrams) + 1}.svg"
                diagrams[name] = drawn(token.content).encode("utf-8")
                return f'<p><img class="diagram" src="../figures/{name}" alt="{_alternative(token.content)}"></p>\n'
            case "math":
                return _formula(token.content, {"display_mode": True})
            case language:
                return _coloured(token.content, language)

    def link(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        address = str(tokens[index].attrs.get("href", ""))
        # Files of the repository are not on the site; their place is said instead.
        outside = address.startswith(_OUTSIDE) and "://" not in address
        tokens[index].attrs = {"title": _in_repository(address)} if outside else {"href": _address(address)}
        return renderer.renderToken(tokens, index, options, env)

    def image(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        source = str(tokens[index].attrs["src"])
        tokens[index].attrs["src"] = f"../figures/{_ELSEWHERE[source]}" if source in _ELSEWHERE else source
        return renderer.image(tokens, index, options, env)

    def cell(renderer: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        # The server's pages allow no style inside of a tag.
        style = tokens[index].attrs.pop("style", "")
        if style:
            tokens[index].attrs["class"] = str(style).removeprefix("text-align:")
        return renderer.renderToken(tokens, index, options, env)

    for kind, rule in {"fence": fence, "link_open": link, "image": image, "td_open": cell, "th_open": cell}.items():
        markdown.add_render_rule(kind, rule)
    return markdown


def _formula(latex: str, options: Mapping[str, Any]) -> str:
    return convert(latex.strip(), display="block" if options["display_mode"] else "inline")


def _coloured(code: str, language: str) -> str:
    lexer = get_lexer_by_name({"": "text", "console": "text"}.get(language, language))
    kind = "output" if language == "text" else "code"
    marked: str = highlight(code, lexer, HtmlFormatter(cssclass=f"highlight {kind}"))
    return marked


def _colours() -> str:
    light = HtmlFormatter(style=_LIGHT).get_style_defs(".highlight")
    dark = HtmlFormatter(style=_DARK).get_style_defs(".highlight")
    return f"\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


def _address(address: str) -> str:
    """Turn a link to a page of the tutorial into one of the site; others stay."""
    path, mark, part = address.partition("#")
    if path.endswith(".md") and "://" not in path:
        folder, _, file = path.rpartition("/")
        path = f"{folder}/{_file(file.removesuffix('.md'))}".lstrip("/")
    return f"{path}{mark}{part}"


def _in_repository(address: str) -> str:
    return (HOME / "en" / address.partition("#")[0]).resolve().relative_to(HOME.parent.parent).as_posix()


def _alternative(diagram: str) -> str:
    return " ".join(diagram.split()).replace('"', "'").replace("<", "&lt;").replace(">", "&gt;")


def _text(language: Language, name: str) -> str:
    return (HOME / language / f"{name}.md").read_text(encoding="utf-8")


def _title(language: Language, name: str) -> str:
    return _text(language, name).partition("\n")[0].lstrip("# ")


def _file(name: str) -> str:
    return "index.html" if name == FRONT else f"{name}.html"
