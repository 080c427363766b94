"""Import an object that a user names as `package.module:Object`."""

import difflib
import importlib
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
    if not all(part.isidentifier() for part in [*module_name.split("."), *attribute.split(".")]):
        raise LoptbenchError(f"{path!r} is not of the form package.module:Object")
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
