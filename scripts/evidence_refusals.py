"""Runs the end-to-end refusal suite and writes what was answered to docs/evidence/refusals.md.

The table is replaced only when every case passed. Exit code: that of the suite.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "evidence" / "refusals.md"


def main() -> int:
    """Run the suite; replace the table when it is complete."""
    with tempfile.TemporaryDirectory() as scratch:
        written = Path(scratch) / "refusals.md"
        environment = os.environ | {"GREENROOM_EVIDENCE": str(written)}
        suite = sorted(str(path) for path in (ROOT / "tests" / "e2e").glob("test_e2e_*.py"))
        argv = [sys.executable, "-m", "pytest", *suite, "--durations=20", "--tb=short"]
        code = subprocess.run(argv, cwd=ROOT, env=environment, check=False).returncode
        if code == 0:
            TARGET.parent.mkdir(parents=True, exist_ok=True)
            TARGET.write_bytes(written.read_bytes())
            print(f"written: {TARGET.relative_to(ROOT)}")
        return code


if __name__ == "__main__":
    sys.exit(main())
