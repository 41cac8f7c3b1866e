"""What a device means for a sequence (article section 7.3)."""

from typing import Literal

import pandas as pd

Devices = Literal["joined", "hidden", "apart"]


def by_device(events: pd.DataFrame, devices: Devices) -> pd.DataFrame:
    """Arrange an event table (sorted by user and position) by what a device is to mean; row order may change.

    "joined": one sequence of all devices of a user, and each event knows its own. "hidden": the same, and no event
    knows. "apart": what a user does on each device is a user of its own, as for a shop that cannot tell who is who.
    """
    match devices:
        case "joined":
            return events
        case "hidden":
            return events.assign(device="")
        case "apart":
            split = events.assign(user_id=events["user_id"] + "@" + events["device"])
            return split.sort_values(["user_id", "position"], kind="stable", ignore_index=True)
