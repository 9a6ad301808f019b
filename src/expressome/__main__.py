"""Run the command line: ``python -m expressome``."""

from expressome.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
