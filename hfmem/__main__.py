"""`python -m hfmem`."""

from hfmem.cli import main

main()
