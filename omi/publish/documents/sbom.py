"""An image's software bill of materials in CycloneDX 1.6. Import it late: its library takes a while."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, Property, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from omi.profile.content import package_lines
from omi.publish.documents.installed import Installed
from omi.publish.documents.provenance import Made
from omi.support.dependency import read_dependency

_CHECKSUM = "alpine:apk:checksum"
_COMMIT = "alpine:aports:commit"


def sbom_text(made: Made, packages: Sequence[Installed]) -> str:
    """JSON. The same image gives the same bytes: its time is the image's creation, its number comes from the image.

    In it, the image depends on the packages that its profile names and on those that no other package needs. A package
    depends on those that it needs.
    """
    spec = made.spec
    image = Component(
        name=spec.name,
        version=f"{spec.release}-r{spec.revision}",
        type=ComponentType.PLATFORM,  # scanners take any operating system for the one they scan: that is `alpine` alone
        bom_ref=spec.name,
        properties=[
            Property(name="outscale:omi", value=made.omi),
            Property(name="alpine:omi:digest", value=spec.digest),
        ],
    )
    system = Component(name="alpine", version=spec.release, type=ComponentType.OPERATING_SYSTEM, bom_ref="alpine")
    parts = {package.name: _component(package, spec.release) for package in packages}
    tool = Component(
        name=spec.project, version=made.release.get("COMMIT"), type=ComponentType.APPLICATION, bom_ref="tool"
    )
    bom = Bom(
        serial_number=uuid5(NAMESPACE_URL, f"{made.omi} {spec.digest}"),
        metadata=BomMetaData(component=image, timestamp=made.created, tools=ToolRepository(components=[tool])),
        components=[system, *parts.values()],
    )
    needs = _needs(packages)
    first = set(_names(package_lines(spec.target))) | (parts.keys() - set().union(*needs.values()))
    bom.register_dependency(image, [system, *(part for name, part in parts.items() if name in first)])
    for name, part in parts.items():
        bom.register_dependency(part, [parts[needed] for needed in sorted(needs[name])])
    text: str = JsonV1Dot6(bom).output_as_string()
    return json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _component(package: Installed, release: str) -> Component:
    qualifiers = {"arch": package.arch, "distro": f"alpine-{release}", "upstream": package.origin}
    facts = {_CHECKSUM: package.checksum, _COMMIT: package.commit}
    url = PackageURL("apk", "alpine", package.name, package.version, qualifiers)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=url.to_string(),
        purl=url,
        description=package.description or None,
        licenses=[LicenseFactory().make_from_string(package.license)] if package.license else None,
        external_references=[ExternalReference(type=ExternalReferenceType.WEBSITE, url=XsUri(package.url))]
        if package.url
        else None,
        properties=[Property(name=name, value=value) for name, value in facts.items() if value],
    )


def _needs(packages: Sequence[Installed]) -> dict[str, set[str]]:
    """The packages that each package needs, by its name: those that provide its dependencies, in any version."""
    offering: dict[str, set[str]] = {}
    for package in packages:
        for name in package.offers:
            offering.setdefault(name, set()).add(package.name)
    wanted = {package.name: _names(package.depends) for package in packages}
    return {name: set().union(*(offering.get(each, ()) for each in needed)) - {name} for name, needed in wanted.items()}


def _names(dependencies: Iterable[str]) -> Iterator[str]:
    for text in dependencies:
        with suppress(ValueError):
            if not (wanted := read_dependency(text)).conflict:
                yield wanted.name
