"""`python -m greenroom.bootstrap ROLE BOX LIFELINE`: one process of a box.

The descriptor LIFELINE reads as ended when whoever started the process is gone.
"""

import sys
from pathlib import Path

from greenroom.bootstrap.processes import process
from greenroom.config import Box

sys.exit(process(sys.argv[1], Box(Path(sys.argv[2])), int(sys.argv[3])))
