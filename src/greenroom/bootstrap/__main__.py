"""`python -m greenroom.bootstrap ROLE BOX LIFELINE [ROOT]`: one process of a box.

The descriptor LIFELINE reads as ended when whoever started the process is gone; guard and keeper write a byte to it
when they answer. ROOT is a descriptor of the root directory of the person's file system, for a keeper in a view of its
own.
"""

import sys
from pathlib import Path

from greenroom.bootstrap.processes import process
from greenroom.config import Box

sys.exit(process(sys.argv[1], Box(Path(sys.argv[2])), *(int(each) for each in sys.argv[3:])))
