"""`doctor`: checks whether an update of a stack could run now, before it makes anything.

It checks this machine, the stack's state, the mirror, and the account of each Region. A check may use what an earlier
one found. If the earlier one failed, the later one counts as not checked, and the others still run.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from omi.build.packer.tools import find_tools
from omi.build.preflight import TOOLS
from omi.cli.findings import Doubt, Finding, NotChecked, find, known, report
from omi.cli.key_expiry import expiry_words, key_expiry
from omi.cli.needs import lacking, made_in, needs
from omi.cli.stack import Json, Stack
from omi.cli.stack_lock import held_by, holders
from omi.config.settings import Settings
from omi.config.stack import EXPORT_LIMIT, PROJECT, backend_url, exported_state, stack_config
from omi.outscale.client import Cloud
from omi.outscale.cures import QUOTA, SUBREGION, TYPE
from omi.outscale.entry import own_address, ssh_source
from omi.outscale.faults import COPY_POLICY, POLICY
from omi.outscale.images import find_source
from omi.outscale.oos import ObjectStore
from omi.outscale.quotas import read_quotas
from omi.outscale.reaching import SKEW, clock_words
from omi.outscale.rights import CALLS, COPY_CALLS, denied_calls
from omi.outscale.shapes import CloudSubnet
from omi.outscale.subnets import find_subnet
from omi.plan import Plan
from omi.plan.held import Held, read_state
from omi.plan.keys import trust_keys
from omi.plan.memory import Memory
from omi.plan.planning import plan_stack
from omi.plan.report import totals
from omi.plan.survey import discover_builds, survey_stack
from omi.profile.load import Profile, load_profile
from omi.state.ledger import Ledger, resources_of_export
from omi.state.owner import Owner
from omi.support import clock
from omi.support.errors import (
    CloudError,
    CredentialsError,
    NoStackError,
    SettingsError,
    StateError,
    ToolError,
    UpstreamError,
)
from omi.support.places import cache_folder
from omi.upstream.packages import read_offered

_LIMIT = 60.0
"""Seconds for one check."""
_LONG = 2.0 * EXPORT_LIMIT
"""Seconds for one that runs pulumi, or asks everything that a plan needs."""
_DOUBTED_SKEW = 30.0
_TINA = re.compile(r"tinav([0-9]+)\.c[0-9]+r[0-9]+(p[123])?")


def doctor(stack: Stack, as_json: Json = False) -> None:
    """Check whether an update could run as things are, before anything is made: one line for each check.

    Exit code 1 if any is an error, else 0.
    """
    report(Checkup(stack).run(), as_json=as_json)


@dataclass
class Checkup:
    """The checks of one stack; `run` gives the findings as they come."""

    stack: str
    settings: Settings | None = None
    profile: Profile | None = None
    backend: str | None = None
    held: Held | None = None
    plan: Plan | None = None
    clouds: dict[str, Cloud] = field(default_factory=dict)
    """By Region: those whose key is good."""
    asked: dict[str, Cloud] = field(default_factory=dict)
    """All that were asked at all."""
    source_sizes: dict[str, int] = field(default_factory=dict)
    """GiB of each Region's source OMI."""
    subnets: dict[str, CloudSubnet] = field(default_factory=dict)
    """By Region: those that VMs are put into."""

    def run(self) -> Iterator[Finding]:
        """Check everything; nothing is made or changed but the cache of Alpine's answers."""
        yield find("tools", None, _LIMIT, self._tools)
        yield find("config", None, _LIMIT, self._config)
        yield find("profile", None, _LIMIT, self._profile)
        yield find("backend", None, _LONG, self._backend)
        yield find("lock", None, _LIMIT, self._lock)
        regions = self.settings.all_regions if self.settings else (None,)
        for region in regions:
            yield from self._account(region)
        yield find("object store", regions[0], _LIMIT, self._of(regions[0], self._store))
        yield find("mirror", None, _LIMIT, self._mirror)
        yield find("plan", None, _LONG, self._plan)
        for region in regions:
            yield find("quotas", region, _LIMIT, self._of(region, self._quotas))

    def _account(self, region: str | None) -> Iterator[Finding]:
        checks: dict[str, Callable[[Settings, str], str]] = {
            "credentials": self._credentials,
            "access key": self._access_key,
            "clock": self._clock,
            "rights": self._rights,
            "source OMI": self._source,
            "VM types": self._types,
            "Subregion": self._subregion,
            "Subnet": self._subnet,
            "ssh_source": self._ssh_source,
        }
        for name, check in checks.items():
            yield find(name, region, _LIMIT, self._of(region, check))

    def _of(self, region: str | None, check: Callable[[Settings, str], str]) -> Callable[[], str]:
        return lambda: check(known(self.settings, "config"), known(region, "config"))

    def _tools(self) -> str:
        missing = [f"{tool} is not on PATH: {cure}" for tool, cure in TOOLS.items() if shutil.which(tool) is None]
        if missing:
            raise ToolError("; ".join(missing))
        version = find_tools(os.environ).version
        return f"{', '.join(TOOLS)} are there; OUTSCALE plugin {version}"

    def _config(self) -> str:
        self.settings = Settings.load(stack_config(self.stack))
        return f"Region{'s' * (len(self.settings.all_regions) > 1)} {', '.join(self.settings.all_regions)}"

    def _profile(self) -> str:
        settings = known(self.settings, "config")
        self.profile = load_profile(settings.profile)
        discovered = " and those that are discovered" if self.profile.discover else ""
        return f"{settings.profile}: {len(self.profile.builds)} builds{discovered}"

    def _backend(self) -> str:
        self.backend = backend_url()
        try:
            exported = exported_state(self.stack)
        except NoStackError as error:
            self.held = Held(Owner(PROJECT, self.stack))
            raise Doubt(
                f"{self.backend} has no stack {self.stack!r} yet: `pulumi stack select --create {self.stack}` makes it"
            ) from error
        self.held = read_state(resources_of_export(exported), PROJECT, self.stack)
        return f"{self.backend} holds {len(self.held.ledger.images)} images of this stack; back it up"

    def _lock(self) -> str:
        try:
            found = holders(known(self.backend, "backend"), self.stack, os.environ)
        except (CloudError, CredentialsError) as error:
            raise NotChecked(f"the bucket's locks can't be read ({str(error).partition('; ')[0]})") from error
        if found is None:
            raise NotChecked("such a backend doesn't show its locks; a locked stack stops `pulumi up` at its start")
        if found:
            raise StateError(held_by(found[0], self.stack))
        return "no update of this stack runs"

    def _credentials(self, settings: Settings, region: str) -> str:
        cloud = self.asked[region] = Cloud.connect(settings.cloud_access(region), os.environ)
        account = cloud.account
        for image in self.held.ledger.images if self.held else ():
            if image.region == region:
                cloud.require_account(image.record.account, f"{image.record.omi} ({image.name})")
        self.clouds[region] = cloud
        return f"account {account}, by the key from {cloud.credentials.source}"

    def _access_key(self, settings: Settings, region: str) -> str:
        return expiry_words(key_expiry(self._cloud(region)), settings.health.key_expiry_days)

    def _clock(self, settings: Settings, region: str) -> str:
        cloud = known(self.asked.get(region), "credentials")
        if cloud.ahead is None:
            raise NotChecked(f"{cloud.access.api} gave no answer with a date")
        words = f"this machine's clock is {clock_words(cloud.ahead)}"
        if abs(cloud.ahead) > SKEW:
            raise CredentialsError(f"{words}, so signatures are refused: set the clock (chronyd, ntpd)")
        if abs(cloud.ahead) > _DOUBTED_SKEW:
            raise Doubt(f"{words}: set the clock (chronyd, ntpd) before signatures are refused")
        return words

    def _rights(self, settings: Settings, region: str) -> str:
        calls = {**CALLS, **(COPY_CALLS if region == settings.region and settings.copies else {})}
        if denied := denied_calls(self._cloud(region), calls):
            files = POLICY if denied[0].removeprefix("api:") not in COPY_CALLS else COPY_POLICY
            raise CredentialsError(f"the key may not call {', '.join(denied)}: allow it in the EIM policy ({files})")
        return f"all {len(calls)} calls of the EIM policy are allowed, by DryRun"

    def _source(self, settings: Settings, region: str) -> str:
        if not _builds_in(settings, region):
            return "not needed: images are copied"
        vm = settings.vm_in(region)
        omi = find_source(self._cloud(region), vm.source_omi, vm.source_owner)
        self.source_sizes[region] = omi.volume_size
        return f"{omi.omi_id} ({omi.name}) of {vm.source_owner}"

    def _types(self, settings: Settings, region: str) -> str:
        vm = settings.vm_in(region)
        wanted = {"vm.verify_vm_type": vm.verify_vm_type}
        if _builds_in(settings, region):
            wanted["vm.vm_type"] = vm.vm_type
        offered = {str(each.get("VmTypeName")) for each in self._cloud(region).read_all("ReadVmTypes", "VmTypes")}
        generations = {match[1] for name in offered if (match := _TINA.fullmatch(name))}
        doubted = []
        for key, name in wanted.items():
            tina = _TINA.fullmatch(name)
            if name in offered:
                continue
            if tina is None or (generations and tina[1] not in generations):
                raise CloudError(f"{key}: {name!r} is not a type of Region {region}; {TYPE}")
            doubted.append(f"{key}: {name}")
        if doubted:
            raise Doubt(f"{', '.join(doubted)}: not among the types that OUTSCALE lists, so it may be refused; {TYPE}")
        return ", ".join(dict.fromkeys(wanted.values()))

    def _subregion(self, settings: Settings, region: str) -> str:
        vm = settings.vm_in(region)
        if (wanted := vm.subregion) is None:
            return "the Subnet's" if vm.subnet else "OUTSCALE chooses one"
        read = self._cloud(region).read_all("ReadSubregions", "Subregions")
        states = {str(each.get("SubregionName")): each.get("State", "available") for each in read}
        if states.get(wanted) != "available":
            names = ", ".join(sorted(name for name, state in states.items() if state == "available"))
            raise CloudError(f"vm.subregion: {wanted} is {states.get(wanted, 'not there')} ({names}): {SUBREGION}")
        return wanted

    def _subnet(self, settings: Settings, region: str) -> str:
        vm = settings.vm_in(region)
        if vm.subnet is None or (found := find_subnet(self._cloud(region), vm)) is None:
            return "not needed: the VMs are in no Net and have public addresses"
        self.subnets[region] = found
        return f"{found.subnet_id} of {found.net_id} in {found.subregion}: {found.free} addresses left"

    def _ssh_source(self, settings: Settings, region: str) -> str:
        vm, api = settings.vm_in(region), settings.cloud_access(region).api
        subnet = known(self.subnets.get(region), "Subnet") if vm.subnet else None
        source = ipaddress.ip_network(ssh_source(vm.ssh_source, api, subnet))
        address = ipaddress.ip_address(own_address(subnet.url if subnet else api))
        if address in source:
            return f"{source}, which holds this machine's address {address}"
        if subnet or address.is_loopback or address.is_global:
            raise SettingsError(
                f"vm.ssh_source: {source} doesn't hold this machine's address {address}, so it can't reach the VMs; "
                "set it to the CIDR that your SSH connections come from, or to auto"
            )
        return f"{source}; this machine is behind NAT, so whether that is its address outside can't be seen from here"

    def _store(self, settings: Settings, region: str) -> str:
        if not settings.copies:
            return "not needed: no Region's images are copied"
        cloud = self._cloud(region)
        store = ObjectStore(cloud.access, cloud.credentials)
        return f"{cloud.access.object_store} answers; {len(store.own())} buckets of copies are there"

    def _mirror(self) -> str:
        settings, profile = known(self.settings, "config"), known(self.profile, "profile")
        ledger, memory = (self.held.ledger, self.held.memory) if self.held else (Ledger(), Memory())
        today = clock.today()
        expanded, upstream = discover_builds(profile, settings, ledger, memory, today)
        trusted = trust_keys(expanded.builds, upstream, ledger, today).builds
        builds = [build for build in trusted if build.keys]
        offered = read_offered(builds, settings.upstream.mirror, settings.vm.trusted_keys, cache_folder() / "upstream")
        if offered.untrusted:
            raise UpstreamError("; ".join(dict.fromkeys(offered.untrusted.values())))
        if offered.unreached:
            url, why = min(offered.unreached.items())
            more = f" (and {len(offered.unreached) - 1} more)" if len(offered.unreached) > 1 else ""
            raise UpstreamError(f"{url}{more}: {why}: set upstream.mirror to a mirror that answers, or run again later")
        if upstream.warnings:
            raise Doubt("; ".join(upstream.warnings))
        theirs = settings.vm.mirror
        where = "" if theirs == settings.upstream.mirror else f"; the VMs use vm.mirror, {theirs}, instead"
        return f"{settings.upstream.mirror}: the indexes of {len(builds)} builds are there and signed{where}"

    def _plan(self) -> str:
        settings, held = known(self.settings, "config"), known(self.held, "backend")
        known(self.profile, "profile")
        for region in settings.all_regions:
            self._cloud(region)
        self.plan = plan_stack(settings, survey_stack(settings, held))
        if self.plan.refused:
            raise Doubt(f"{totals(self.plan)}; refused: {'; '.join(self.plan.refused)}")
        return totals(self.plan)

    def _quotas(self, settings: Settings, region: str) -> str:
        made = made_in(known(self.plan, "plan"), region)
        at_once = min(len(made), _parallel() or len(made))
        wanted = needs(made, at_once, self.source_sizes.get(region, 0))
        quotas = read_quotas(self._cloud(region))
        if short := lacking(wanted, quotas):
            fewer = "; PULUMI_PARALLEL=1 has one image made at a time" if at_once > 1 else ""
            raise CloudError(f"{'; '.join(short)}: {QUOTA}{fewer}")
        if not made:
            return "nothing is to be built here"
        if unread := sorted(wanted.keys() - {quota.name for quota in quotas}):
            raise Doubt(f"ReadQuotas has no {', '.join(unread)}: see in Cockpit whether there is room")
        return (
            f"room for what {len(made)} images take, {at_once} at a time: {wanted['vm_limit']} VMs, "
            f"{wanted['volume_size_limit']} GiB, {len(made)} snapshots, {len(made)} OMIs"
        )

    def _cloud(self, region: str) -> Cloud:
        return known(self.clouds.get(region), "credentials")


def _builds_in(settings: Settings, region: str) -> bool:
    return region not in settings.regions or settings.regions[region].images == "build"


def _parallel() -> int | None:
    given = os.environ.get("PULUMI_PARALLEL", "")
    return int(given) if given.isdecimal() and len(given) < 6 and int(given) else None
