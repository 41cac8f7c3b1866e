"""Mermaid's diagrams as SVG, drawn without a browser, Chinese labels included."""

from functools import cache

import mermaidx
from mermaidx.font_metrics import Font

_FIRST_CHINESE = "\u2e80"
_SYMBOLS = range(0x2190, 0x2E80)


def drawn(source: str) -> str:
    """Return a diagram as SVG text.

    The renderer measures by a font without Chinese and would draw boxes that are too narrow, so symbols of that font
    that are about as wide stand in for Chinese signs until the boxes are measured. Raises ValueError for a diagram of
    more different signs than there are such symbols.
    """
    chinese = sorted({sign for sign in source if sign >= _FIRST_CHINESE})
    if len(chinese) > len(_stand_ins()):
        raise ValueError(f"{len(chinese)} different Chinese signs in one diagram: {len(_stand_ins())} can be measured")
    signs, stand_ins = "".join(chinese), "".join(_stand_ins()[: len(chinese)])
    picture: str = mermaidx.render(source.translate(str.maketrans(signs, stand_ins))).svg()
    # A browser's own fonts may be wider than what was measured: a label then stands out, and is not cut off.
    whole = picture.replace("<foreignObject ", '<foreignObject overflow="visible" ')
    return whole.translate(str.maketrans(stand_ins, signs))


@cache
def _stand_ins() -> list[str]:
    width = {code: units for code, units in Font(bold=False).full_advance_table().items() if code in _SYMBOLS}
    em = 2048
    return [chr(code) for code in sorted(width) if 0.88 <= width[code] / em <= 1.06]
