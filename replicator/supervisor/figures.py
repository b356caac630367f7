"""The metrics of many processes as one page. Pure; the format is Prometheus' text format 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable

_SUFFIXES = ("_bucket", "_sum", "_count", "_total", "_created")

Labels = tuple[tuple[str, str], ...]


def merged(pages: Iterable[tuple[Labels, str]]) -> bytes:
    """All samples, each with its page's labels, one HELP and TYPE a family.

    A label that a sample has already is left as it is: control tells of destinations itself.
    """
    families: dict[str, tuple[list[str], list[str]]] = {}
    for labels, text in pages:
        family = ""
        for line in text.splitlines():
            if line.startswith("# "):
                family = line.split(" ", 3)[2]
                heads, _ = families.setdefault(family, ([], []))
                if line.split(" ", 2)[1] not in {head.split(" ", 2)[1] for head in heads}:
                    heads.append(line)
            elif line:
                name = line.split("{", 1)[0].split(" ", 1)[0]
                belongs = family if _belongs(name, family) else name
                families.setdefault(belongs, ([], []))[1].append(_labelled(line, name, labels))
    lines = [line for heads, samples in families.values() for line in (*heads, *samples)]
    return ("\n".join(lines) + "\n").encode() if lines else b""


def _belongs(name: str, family: str) -> bool:
    return name == family or any(name == f"{family}{suffix}" for suffix in _SUFFIXES)


def _labelled(line: str, name: str, labels: Labels) -> str:
    rest = line[len(name) :]
    own, value = ("", rest)
    if rest.startswith("{"):
        end = _closing(rest)
        own, value = rest[1:end].rstrip(","), rest[end + 1 :]
    taken = {part.split("=", 1)[0] for part in _parts(own)}
    added = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels if key not in taken)
    both = ",".join(part for part in (added, own) if part)
    return f"{name}{{{both}}}{value}" if both else f"{name}{value}"


def _closing(text: str) -> int:
    """Where the labels' closing brace stands; braces inside of quotes don't count."""
    quoted, index = False, 0
    while index < len(text):
        if quoted and text[index] == "\\":
            index += 1
        elif text[index] == '"':
            quoted = not quoted
        elif text[index] == "}" and not quoted:
            return index
        index += 1
    return len(text) - 1


def _parts(labels: str) -> list[str]:
    parts, quoted, begin, index = [], False, 0, 0
    while index < len(labels):
        if quoted and labels[index] == "\\":
            index += 1
        elif labels[index] == '"':
            quoted = not quoted
        elif labels[index] == "," and not quoted:
            parts.append(labels[begin:index])
            begin = index + 1
        index += 1
    parts.append(labels[begin:])
    return [part for part in parts if part]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
