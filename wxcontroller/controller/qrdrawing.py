"""Drawing a link as a QR code: for a browser, a terminal, and alerts."""

import io


def drawn(link: str, form: str) -> bytes:
    """Draw a link as a QR code: ``svg``, ``png`` or ``txt`` (block characters for a terminal)."""
    import segno  # imported only when a code is drawn

    code = segno.make_qr(link, error="m")
    if form == "txt":
        text = io.StringIO()
        code.terminal(text, compact=True, border=2)
        return text.getvalue().encode()
    out = io.BytesIO()
    if form == "svg":
        code.save(out, kind="svg", scale=8, border=4, light="#ffffff", dark="#000000", xmldecl=False)
    else:
        code.save(out, kind="png", scale=8, border=4)
    return out.getvalue()
