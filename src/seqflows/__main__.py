"""``python -m seqflows``."""

from seqflows.cli import main

raise SystemExit(main())
