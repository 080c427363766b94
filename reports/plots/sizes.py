"""A drawing taken apart: what all sizes of learned optimizers share, and what belongs to each."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from xml.dom import minidom

Element = Any
"""A node of minidom: the types of its parents and children are unions that fit no use."""
NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that HTML bears and XML does not; a name may have them."""
REFERENCE = re.compile(r'(?:href="|url\()#([^")]+)')
"""An identifier that an element refers to."""


def by_size(svg: str) -> tuple[str, dict[str, str]]:
    """Take the elements that belong to a size out of a drawing.

    Args:
        svg: an `<svg>` element; the attribute `data-size` of an element names its size.

    Returns: the drawing without these elements; and for each size its own, as they were drawn. Both
        have the definitions, such as markers, that they refer to: a size those that the drawing
        does not have.

    >>> by_size('<svg><path/><g><use data-size="paper" x="1"/></g></svg>')
    ('<svg><path/></svg>', {'paper': '<use x="1"/>'})
    """
    root: Element = minidom.parseString(NOT_XML.sub("\ufffd", svg)).documentElement
    definitions: dict[str, str] = {}
    for group in list(root.getElementsByTagName("defs")):
        definitions |= {node.getAttribute("id"): node.toxml() for node in group.childNodes}
        group.parentNode.removeChild(group)
    parts: dict[str, str] = {}
    for element in list(root.getElementsByTagName("*")):
        size = element.getAttribute("data-size")
        if size:
            element.removeAttribute("data-size")
            parts[size] = parts.get(size, "") + _taken_out(element, root)
    shared = root.toxml()
    used = _used(shared, definitions)
    shared = shared.removesuffix("</svg>") + _definitions(used, definitions) + "</svg>"
    own = {
        size: _definitions(_used(part, definitions, without=used), definitions) + part
        for size, part in parts.items()
    }
    return shared, own


def _taken_out(element: Element, root: Element) -> str:
    """An element, in copies of the groups around it that say something; the emptied ones go."""
    group, taken = element.parentNode, element
    group.removeChild(element)
    while group is not root:
        if group.attributes.length:
            copy = group.cloneNode(deep=False)
            copy.appendChild(taken)
            taken = copy
        outer = group.parentNode
        if not group.hasChildNodes():
            outer.removeChild(group)
        group = outer
    return str(taken.toxml())


def _used(part: str, definitions: Mapping[str, str], without: Collection[str] = ()) -> list[str]:
    """The definitions that a part of the drawing refers to, each once."""
    names = dict.fromkeys(REFERENCE.findall(part))
    return [name for name in names if name in definitions and name not in without]


def _definitions(names: Iterable[str], definitions: Mapping[str, str]) -> str:
    content = "".join(definitions[name] for name in names)
    return f"<defs>{content}</defs>" if content else ""
