"""Facts of an image from the releases files and the documents beside them, for a record that is made anew."""

from __future__ import annotations

from typing import Any

from omi.publish.beside import listed_packages
from omi.publish.model import Measured
from omi.publish.releases import from_yaml
from omi.state.image import ImageSpec
from omi.support.errors import OmiError
from omi.support.narration import tell
from omi.support.places import expand


def recorded(spec: ImageSpec, omi: str) -> dict[str, Any]:
    """Fields of its ImageRecord; none if the files are missing, can't be read or name another OMI."""
    folder, region = expand(spec.releases_dir), spec.cloud.region
    path = folder / f"{spec.profile}.yaml"
    try:
        images = from_yaml(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        return {}
    except (OmiError, OSError, UnicodeDecodeError) as error:
        tell(f"{path}: nothing is taken from it: {error}")
        return {}
    image = next((each for each in images if each.name == spec.name and each.ids.get(region) == omi), None)
    if image is None:
        return {}
    listed = listed_packages(image, folder, region)
    return {
        **{key: getattr(image, key) for key in Measured.model_fields},
        "documents": image.documents.get(region) or None,
        "installed": None if listed is None else tuple(sorted(f"{each.name}={each.version}" for each in listed)),
    }
