"""The door of the command line: `python run.py --help` lists what it can do."""

from recsys_tf.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
