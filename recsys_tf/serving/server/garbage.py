"""Python's garbage collector, told what lives long."""

import gc


def settle() -> None:
    """Free what nobody needs any more, and keep the collector from looking again at what is left.

    A loaded model is a great many objects that live long and point at each other. A full collection walks over all of
    them and stops every thread for some tenths of a second; while requests are answered it would come every few
    thousand of them and free nothing.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
