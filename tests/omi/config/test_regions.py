"""The Regions of a stack: what each is reached by, what its images' commands are called, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from omi.config.regions import KnownRegion, errors_naming, regions_of
from omi.config.settings import FurtherRegion, Settings
from omi.profile.model import Access
from omi.state.ledger import Ledger
from omi.support.errors import CloudError, SettingsError
from omi.support.places import file_name_of, image_of, name_of_file
from tests.omi.config.test_settings import load
from tests.omi.plan.make import build, held, in_region
from tests.omi.specs import make_access

US = {"cloud": {"osc_profile": "us"}}
IMAGE = held(build(), "3.23.6")


def test_a_region_has_endpoints_of_its_own_and_else_what_the_home_region_has() -> None:
    cloud = {"api": "https://api.test/api/v1", "ca_file": "ca.pem", "limits": {"image": 900, "answer": 30}}
    there = {"cloud": {"osc_profile": "us", "limits": {"answer": 90}}, "vm": {"vm_type": "tinav7.c4r8p1"}}
    settings = load(cloud=cloud, vm={"ssh_port": 2222}, regions={"us-east-2": there})
    access = settings.cloud_access("us-east-2")
    assert (access.region, access.api) == ("us-east-2", "https://api.us-east-2.outscale.com/api/v1")
    assert access.ca_file == "ca.pem"
    assert (access.limits.image, access.limits.answer) == (900, 90)
    assert (settings.vm_in("us-east-2").vm_type, settings.vm_in("us-east-2").ssh_port) == ("tinav7.c4r8p1", 2222)
    assert settings.cloud_access() == load(cloud=cloud).cloud_access()
    assert settings.vm_in() == settings.vm


def test_the_object_store_follows_from_the_region_where_it_is_not_set() -> None:
    settings = load(regions={"us-east-2": {"cloud": {"osc_profile": "us", "oos": "https://127.0.0.1:7443"}}})
    here, there = settings.cloud_access(), settings.cloud_access("us-east-2")
    assert (here.object_store, there.object_store) == ("https://oos.eu-west-2.outscale.com", "https://127.0.0.1:7443")


def test_the_environments_key_is_the_home_regions_alone() -> None:
    settings = load(regions={"us-east-2": US})
    assert settings.cloud_access().osc_file is None
    assert settings.cloud_access("us-east-2").osc_file == "~/.osc/config.json"
    named = load(cloud={"osc_file": "keys.json", "osc_profile": "eu"}, regions={"us-east-2": US})
    assert (named.cloud_access("us-east-2").osc_file, named.cloud_access("us-east-2").osc_profile) == (
        "keys.json",
        "us",
    )


def test_access_is_per_region() -> None:
    there = {**US, "access": ["222222222222"]}
    settings = load(access="public", regions={"us-east-2": there, "us-west-1": US})
    assert settings.access_in("us-east-2") == Access(accounts=("222222222222",))
    assert settings.access_in("us-west-1") == settings.access_in("eu-west-2") == Access(public=True)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"regions": {"us-east-2": {}}},
            "regions.us-east-2.cloud.osc_profile: is not set, so Region us-east-2 has no ",
        ),
        (
            {"regions": {"us-east-2": None}},
            "regions.us-east-2: None is not allowed; allowed: a map of access, account, cloud",
        ),
        ({"regions": {"us-est-2": US}}, "regions.us-est-2: 'us-est-2' is not an OUTSCALE Region (eu-west-2, "),
        ({"regions": {"../x": US}}, "regions: '../x' is not a Region's name"),
        ({"regions": {"eu-west-2": US}}, "regions.eu-west-2: is the home Region (`region`) already; take it out of "),
        ({"regions": {"us-east-2": {**US, "clod": {}}}}, "regions.us-east-2.clod: unknown setting (did you mean 'clou"),
        (
            {"regions": {"us-east-2": {**US, "images": "move"}}},
            "regions.us-east-2.images: 'move' is not allowed: must be 'build' or 'copy'",
        ),
        ({"regions": ["us-east-2"]}, "regions: ['us-east-2'] is not allowed"),
        (
            {"regions": {"us-east-2": {**US, "vm": {"mirror": "x"}}}},
            "regions.us-east-2.vm.mirror: 'x' is not an https URL",
        ),
        (
            {"adopt": [{"name": "a", "omi": "ami-1", "build": "b", "release": "3.23.6", "region": "us-east-2"}]},
            "adopt: a: 'us-east-2' is not a Region of the stack; it has: eu-west-2",
        ),
    ],
)
def test_what_can_not_be_is_one_line_with_the_cure(values: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(**values)
    assert str(raised.value).startswith(f"stack config: {says}")
    assert "\n" not in str(raised.value)


def test_each_region_has_its_part_of_the_ledger_and_one_that_left_the_config_is_still_known() -> None:
    there, gone = in_region(IMAGE, "us-east-2"), in_region(IMAGE, "us-west-1")
    settings = load(regions={"us-east-2": US})
    home, further, left = regions_of(settings, Ledger.of([gone, there, IMAGE]))
    assert [each.ledger.images for each in (home, further, left)] == [(IMAGE,), (there,), (gone,)]
    assert [(each.is_home, each.is_wanted) for each in (home, further, left)] == [
        (True, True),
        (False, True),
        (False, False),
    ]
    assert left.access == gone.spec.cloud, "its key is found as state says"


def test_a_region_that_only_the_memory_knows_comes_last_and_is_reached_as_that_says() -> None:
    gone, known = in_region(IMAGE, "us-west-1"), make_access(region="ap-northeast-1")
    stale = KnownRegion(cloud=make_access(region="of an earlier day"))
    memory = {"eu-west-2": stale, "us-east-2": stale, "us-west-1": stale, known.region: KnownRegion(cloud=known)}
    settings = load(regions={"us-east-2": US})
    found = regions_of(settings, Ledger.of([gone, IMAGE]), memory)
    assert [each.name for each in found] == ["eu-west-2", "us-east-2", "ap-northeast-1", "us-west-1"]
    wanted = [settings.cloud_access(), settings.cloud_access("us-east-2"), known, gone.spec.cloud]
    assert [each.access for each in found] == wanted
    assert [each.is_wanted for each in found] == [True, True, False, False]
    why = r"^Region ap-northeast-1: no answer; it is no longer in the stack's config, but leftovers there need its key$"
    with pytest.raises(CloudError, match=why), errors_naming(found[2], found):
        raise CloudError("no answer")


def test_a_subregion_is_of_its_own_region_alone() -> None:
    settings = load(vm={"subregion": "eu-west-2b"}, regions={"us-east-2": US})
    assert (settings.vm_in().subregion, settings.vm_in("us-east-2").subregion) == ("eu-west-2b", None)
    there = load(vm={"subregion": "eu-west-2b"}, regions={"us-east-2": {**US, "vm": {"subregion": "us-east-2a"}}})
    assert there.vm_in("us-east-2").subregion == "us-east-2a"


@pytest.mark.parametrize("name", ["", "a", "eu-west-2", "eu-west-2A", "eu-west-2ab", "us-east-2a", "eu-west-2a\n"])
def test_another_name_for_a_subregion_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=r"^stack config: (vm\.)?.*subregion: "):
        load(vm={"subregion": name})
    with pytest.raises(SettingsError, match=r"subregion: .*give its name and one letter, like us-east-2a"):
        load(regions={"us-east-2": {**US, "vm": {"subregion": "eu-west-2a"}}})


def test_a_subnet_is_of_its_own_region_alone() -> None:
    settings = load(vm={"subnet": "subnet-0a1b2c3d"}, regions={"us-east-2": US})
    assert (settings.vm_in().subnet, settings.vm_in("us-east-2").subnet) == ("subnet-0a1b2c3d", None)


@pytest.mark.parametrize("name", ["", "0a1b2c3d", "vpc-0a1b2c3d", "subnet-0A1B2C3D", "subnet-0a1b2c3", "10.0.0.0/24"])
def test_what_is_no_subnets_id_is_refused(name: str) -> None:
    with pytest.raises(
        SettingsError, match=r"^stack config: vm\.subnet: .* is not a Subnet's id, such as subnet-0a1b2c3d$"
    ):
        load(vm={"subnet": name})


def test_a_resource_is_called_as_its_image_at_home_and_never_twice() -> None:
    home, further = regions_of(load(regions={"us-east-2": US}), Ledger())
    assert (home.resource_of("a"), further.resource_of("a")) == (None, "a@us-east-2")
    # the Regions change places: what was at home keeps its name
    settings = Settings(region="us-east-2", regions={"eu-west-2": FurtherRegion.model_validate(US)})
    home, further = regions_of(settings, Ledger.of([IMAGE]))
    assert home.resource_of(IMAGE.name) == f"{IMAGE.name}@us-east-2"
    assert home.resource_of("another") is None
    assert further.resource_of("another") == "another@eu-west-2"


def test_a_run_folder_tells_its_image_in_whatever_region() -> None:
    for run in ("own/alpine-r0", "own/alpine-r0@us-east-2"):
        assert image_of(name_of_file(file_name_of(run))) == "own/alpine-r0"


def test_an_error_names_its_region_once_and_only_where_there_are_several() -> None:
    alone = regions_of(load(), Ledger())
    with pytest.raises(CloudError, match=r"^no answer$"), errors_naming(alone[0], alone):
        raise CloudError("no answer")
    several = regions_of(load(regions={"us-east-2": US}), Ledger.of([in_region(IMAGE, "us-west-1")]))
    with (
        pytest.raises(CloudError, match=r"^Region us-east-2: no answer$") as raised,
        errors_naming(several[1], several),
        errors_naming(several[1], several),
    ):
        raise CloudError("no answer", "6")
    assert raised.value.code == "6"
    left = r"it is no longer in the stack's config, but 1 images there are to be pruned"
    with pytest.raises(CloudError, match=left), errors_naming(several[2], several):
        raise CloudError("no answer")


@pytest.mark.parametrize("given", ["123456789012", 123456789012])
def test_the_account_may_be_named(given: Any) -> None:
    further = {"us-east-2": {"cloud": {"osc_profile": "us"}, "account": "000000000001"}}
    settings = load(account=given, regions=further)
    assert settings.cloud_access().account == "123456789012"
    assert settings.cloud_access("us-east-2").account == "000000000001"
    assert load().cloud_access().account is None


@pytest.mark.parametrize("wrong", ["12345678901", "1234567890123", "mine", 12345678901, ["123456789012"]])
def test_another_account_than_twelve_digits_is_one_line(wrong: Any) -> None:
    with pytest.raises(SettingsError, match=r"account: .* is not allowed; allowed: an account's id: 12 digits"):
        load(account=wrong)
