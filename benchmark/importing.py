"""Import an object that a user names as `package.module:Object`."""

import ast
import difflib
import importlib
import re
import sys
from pathlib import Path
from typing import Any

from loptbench.errors import BrokenImplementationError, LoptbenchError, NotInstalledError


def import_object(path: str, requirement: str = "") -> Any:
    """Import `package.module:Object`, looking in the current folder too.

    >>> import_object("math:pi")
    3.141592653589793

    Args:
        path: the module, and the object in it.
        requirement: what `pip install` needs for it, such as `loptbench[torch]`, where known.

    Raises:
        LoptbenchError: the path is malformed, or there is no such module or object.
        NotInstalledError: a module that it imports is not installed.
        BrokenImplementationError: the import fails.
    """
    module_name, _, attribute = path.partition(":")
    parts = [*module_name.split("."), *attribute.split(".")]
    if module_name.endswith(".py") or not all(part.isidentifier() for part in parts):
        hint = object_hint(path)
        raise LoptbenchError(f"{path!r} is not of the form package.module:Object{hint}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        imported: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise LoptbenchError(
                f"there is no module {missing!r} to import {path} from; run in its folder, or "
                "install it"
            ) from error
        remedy = f"pip install '{requirement}'" if requirement else f"install {missing!r}"
        raise NotInstalledError(f"{path} needs {missing!r}, not installed: {remedy}") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise BrokenImplementationError(
            f"importing {module_name} failed: {type(error).__name__}: {error}"
        ) from error
    for part in attribute.split("."):
        if not hasattr(imported, part):
            close = difflib.get_close_matches(part, dir(imported), 3)
            hint = f"did you mean {' or '.join(close)}?" if close else "check the spelling"
            raise LoptbenchError(f"module {module_name} has no {attribute!r}; {hint}")
        imported = getattr(imported, part)
    return imported


IS_PATH = re.compile(r"[/\\]|\.(py|safetensors)\b")
"""What paths have and names of modules do not: a separator, or an ending."""


def looks_like_path(name: str) -> bool:
    r"""Whether a name is the path of a file, on this system or another.

    >>> looks_like_path(r"C:\\work\\mine.py"), looks_like_path("mine:Mine")
    (True, False)
    """
    return IS_PATH.search(name) is not None


def object_hint(name: str) -> str:
    """How to name the object that a user may mean by a module or file, as the end of a message.

    >>> object_hint("./folder/mine.py")
    '; name a class or object in it as mine:Object, in the folder of mine.py'

    Args:
        name: a name that is not of the form `package.module:Object`, or is not known.
    """
    text = re.sub(r"^[A-Za-z]:[/\\]", "/", name).replace("\\", "/")  # of Windows
    path, ending, attribute = text.partition(".py")
    if not ending:
        path, _, attribute = text.partition(":")
        path = path.replace(".", "/") if not looks_like_path(name) else path
    file = Path(f"{path or '.'}.py")
    if not looks_like_path(name) and not file.is_file():
        return "; name one of your own as package.module:Object"
    attribute = attribute.removeprefix(":")
    classes = [attribute] if attribute.isidentifier() else _public_classes(file)
    names = " or ".join(f"{file.stem}:{each}" for each in classes or ["Object"])
    where = "" if file.parent == Path() else f", in the folder of {file.name}"
    return f"; name a class or object in it as {names}{where}"


def _public_classes(file: Path) -> list[str]:
    """The public classes that a file defines; none if it cannot be read."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    return [name for name in classes if not name.startswith("_")][:4]
