"""`python -m loptbench.reference_results STORE [FOLDER]`: make the reference results from a store.

FOLDER is that of the shipped ones if it is left out.
"""

import sys
from pathlib import Path

from loptbench.errors import LoptbenchError
from loptbench.reference_results.tables import make
from loptbench.results.store import Store

SHIPPED = Path(__file__).parent / "data"

if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    folder = Path(sys.argv[2]) if len(sys.argv) == 3 else SHIPPED
    try:
        make(Store.open(Path(sys.argv[1])), folder)
    except LoptbenchError as error:
        sys.exit(f"error: {error}")
    print(folder)
