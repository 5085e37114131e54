"""The off recipe of a laser (heater, pump) by the name of its driver: entry point group ``nanolab.off``."""

from collections.abc import Mapping
from typing import Any

from nanolab.discovery import OFF, load
from nanolab.errors import NanolabError
from nanolab.safety.recipe import OffRecipe


def recipe_for(driver: str, address: str, settings: Mapping[str, Any], device: str = "laser") -> OffRecipe:
    """Return the off recipe of one instrument.

    Parameters
    ----------
    driver, address : str
        As in the bench file; `address` is where the instrument really is.
    settings : mapping
        The rest of its table in the bench file: text, numbers, quantities as they stand or as checked.
    device : str
        Its role, for reports.

    Raises
    ------
    UsageError
        Where the driver has no recipe.
    NanolabError
        Where the recipe cannot be made from these settings.
    """
    make = load(OFF, driver)
    try:
        recipe = make(device, address, dict(settings))
    except (KeyError, TypeError, ValueError) as error:
        raise NanolabError(f"the off recipe of '{driver}' cannot be made from its settings: {error}") from error
    if not isinstance(recipe, OffRecipe):
        raise NanolabError(f"the off recipe of '{driver}' is no OffRecipe but a {type(recipe).__name__}")
    return recipe
