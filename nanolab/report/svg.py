"""SVG as matplotlib writes it, made smaller and free of addresses in the web; nothing that is seen changes."""

import re

_HEAD = re.compile(rb"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(rb"<metadata>.*?</metadata>\s*", re.DOTALL)
_MARKER = re.compile(rb'<path id="(m[0-9a-f]+)" d="([^"]*)" style="([^"]*)"/>')
_USE = re.compile(rb'<use xlink:href="#(m[0-9a-f]+)" x="([0-9.]+)" y="([0-9.]+)" style="([^"]*)"/>')


def plain_svg(svg: bytes) -> bytes:
    """Return an SVG without its head and metadata, with the places of its markers to a hundredth of a point.

    A curve of 3,000 readings is 3,000 markers; what they have in common is said once, where the marker is defined.
    """
    svg = _METADATA.sub(b"", _HEAD.sub(b"", svg, count=1))
    styles: dict[bytes, set[bytes]] = {}
    for marker, _x, _y, style in _USE.findall(svg):
        styles.setdefault(marker, set()).add(style)
    defined = {match[0] for match in _MARKER.findall(svg)}
    common = {marker: next(iter(found)) for marker, found in styles.items() if len(found) == 1 and marker in defined}

    def define(match: re.Match[bytes]) -> bytes:
        style = common.get(match[1], match[3])
        return b'<path id="%b" d="%b" style="%b"/>' % (match[1], match[2], style)

    def place(match: re.Match[bytes]) -> bytes:
        x, y = (b"%.2f" % float(number) for number in (match[2], match[3]))
        style = b"" if match[1] in common else b' style="%b"' % match[4]
        return b'<use xlink:href="#%b" x="%b" y="%b"%b/>' % (match[1], x, y, style)

    return _USE.sub(place, _MARKER.sub(define, svg))
