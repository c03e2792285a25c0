"""How OMIs are called and described, and what of it a profile may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from omi.support.errors import ProfileError
from tests.omi.profile.test_load import load, only


def test_name_and_description_are_as_their_templates_say(root: Path) -> None:
    build = only(load(root, 'builds: {a: {version: "3.23", suffix: -web, description_suffix: " - https://x.test"}}'))
    assert build.image_name("3.23.6", 2) == "alpine-3.23.6-x86_64-r2-web"
    assert build.image_description("3.23.6", 2) == "Alpine Linux 3.23.6 x86_64 r2 - https://x.test"
    own = {"name_template": "{profile}/{build} {version} {release}{revision}", "description": "{release} of {x}"}
    build = build.model_copy(update={**own, "description_template": "{description}: {revision} for {arch}"})
    assert build.image_name("3.23.6", 12) == "web/a 3.23 3.23.6r12"
    assert build.image_description("3.23.6", 12) == "{release} of {x}: r12 for x86_64"
    assert build.name_parts("3.23.6") == ("web/a 3.23 3.23.6r", "")


ERRORS = {
    "name without its revision": (
        "name_template: 'a{release}'\nbuilds: {}",
        "web.yaml:1: name_template: a{release} is not",
    ),
    "name without its release": ("name_template: 'a-{revision}'\nbuilds: {}", "with {release}, and {revision} once"),
    "name with two revisions": ("name_template: '{revision}{release}{revision}'\nbuilds: {}", "{revision} once"),
    "name of unknown parts": ("name_template: '{release}-{revision}-{digest}'\nbuilds: {}", "{profile} {build}, with"),
    "name that OUTSCALE refuses": ("name_template: '{release}_{revision}!'\nbuilds: {}", "allowed: letters, digits"),
    "a digit after the revision": (
        "name_template: '{arch}{revision}{release}'\nbuilds: {a: {version: '3.23'}}",
        "web.yaml:1: name_template: makes OMI names like 'x86_64r99993.23.99_rc9', in which a digit follows",
    ),
    "a suffix that begins with a digit": (
        "suffix: 1-web\nbuilds: {a: {version: '3.23'}}",
        "web.yaml:1: suffix: makes OMI names like",
    ),
    "a template too long": (
        f"name_template: '{'n' * 120}{{release}}{{revision}}'\nbuilds: {{a: {{version: '3.23'}}}}",
        "web.yaml:1: name_template: makes OMI names like",
    ),
    "description of unknown parts": (
        "description_template: '{release} {x}'\nbuilds: {}",
        "without braces but {prefix}",
    ),
    "description of two lines": ('description_template: "a\\nb"\nbuilds: {}', "allowed: one line of text"),
    "same OMI names by other templates": (
        """builds:
  a: {version: '3.23', prefix: a-b-, name_template: '{prefix}{release}{revision}'}
  b: {version: '3.23', prefix: a-, name_template: '{prefix}{build}-{release}{revision}'}
""",
        "web.yaml:3: builds.b: makes the same OMI names as builds.a; give one of them",
    ),
}


@pytest.mark.parametrize(("text", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_a_template_that_breaks_identity_is_refused_in_one_line(root: Path, text: str, message: str) -> None:
    with pytest.raises(ProfileError) as caught:
        load(root, text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("profiles/")
