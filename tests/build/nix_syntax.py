"""The commonest faults in Nix files, for machines without deadnix and nixfmt, which `nix flake check` runs."""

from __future__ import annotations

from collections.abc import Iterator

import tree_sitter_nix
from tree_sitter import Language, Node, Parser

PARSER = Parser(Language(tree_sitter_nix.language()))
# nixfmt's; it leaves comments alone, for which the width of the other files holds.
WIDTH, COMMENT_WIDTH = 100, 120


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for child in node.children:
        yield from walk(child)


def text(node: Node) -> str:
    return (node.text or b"").decode()


def bound(node: Node) -> Iterator[Node]:
    """The identifiers that a `let` or a function binds."""
    if node.type == "function_expression":
        if universal := node.child_by_field_name("universal"):
            yield universal
        formals = node.child_by_field_name("formals")
        for formal in formals.children_by_field_name("formal") if formals else ():
            name = formal.child_by_field_name("name")
            # Behind the last comma the grammar sees one more, of no letters.
            if name and not name.is_missing:
                yield name
    elif node.type == "let_expression":
        for binding in node.named_children[0].children_by_field_name("binding"):
            if binding.type == "binding":
                yield binding.named_children[0].named_children[0]
            else:
                yield from binding.children_by_field_name("attrs")[0].named_children


def used(node: Node) -> Iterator[str]:
    """The names that are read below the node; `inherit name;` reads one, `inherit (set) name;` does not."""
    for item in walk(node):
        if item.type == "variable_expression":
            yield text(item)
        elif item.type == "inherit" and item.is_named:
            yield from map(text, item.children_by_field_name("attrs")[0].named_children)


def dead(source: str) -> list[str]:
    """`line: name` of what is bound and never read. A name that an inner scope binds again counts as read there."""
    return [
        f"{name.start_point.row + 1}: {text(name)}"
        for node in walk(PARSER.parse(source.encode()).root_node)
        for names in [set(used(node))]
        for name in bound(node)
        if text(name) not in names and not text(name).startswith("_")
    ]


def misformatted(source: str) -> list[str]:
    """`line: fault` of what nixfmt would never write; lines inside of strings are the author's."""
    inside = {
        row
        for node in walk(PARSER.parse(source.encode()).root_node)
        if node.type == "indented_string_expression"
        for row in range(node.start_point.row + 1, node.end_point.row)
    }
    faults, before, empty = [], 0, False
    lines = source.split("\n")
    for row, line in enumerate(lines):
        indent = len(line) - len(line.lstrip(" "))
        if "\t" in line:
            faults.append((row, "a tab"))
        if line != line.rstrip(" "):
            faults.append((row, "blanks at the end"))
        if row not in inside and len(line) > (COMMENT_WIDTH if line.lstrip().startswith("#") else WIDTH):
            faults.append((row, f"{len(line)} characters"))
        if not line and empty and row < len(lines) - 1:
            faults.append((row, "two empty lines"))
        empty = not line
        if line.strip() and row not in inside:
            if indent % 2 or indent > before + 2:
                faults.append((row, f"indented by {indent} after {before}"))
            before = indent
    if lines[-1]:
        faults.append((len(lines) - 1, "no newline at the end"))
    return [f"{row + 1}: {fault}" for row, fault in faults]
