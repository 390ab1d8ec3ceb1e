"""What came instead of a model, told by its first bytes."""


def looks_like(head: bytes) -> str:
    """Says what begins with these bytes, for ``it is ...``: empty, a web page, or how it starts."""
    if not head:
        return "empty"
    if head.lstrip()[:1] == b"<":
        return "a web page (HTML or XML)"
    return f"something that starts with {head[:16]!r}"
