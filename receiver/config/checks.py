"""Validates settings against each other: names that must exist, fields that must be known."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from receiver.config.asking import check_sources
from receiver.config.churning import what_happens
from receiver.config.complaints import Complaint, Place, did_you_mean
from receiver.config.fields import fields_of
from receiver.config.files import (
    in_folder,
    need_file,
    need_program,
    read_certificate,
    read_private_key,
)
from receiver.config.http_targets import check_http, unknown_fields
from receiver.config.restraint_checks import check_budgets
from receiver.config.sections import (
    LOCAL,
    FileSection,
    FollowingSection,
    GithubSection,
    KfpSection,
    PolicySection,
    ProxySection,
    StorageSection,
    TargetSection,
    check_storage_url,
)
from receiver.config.subscribing import check_announcements
from receiver.config.tenants import check_tenants
from receiver.core.ambiguity import ambiguity_of, clear_separator
from receiver.core.links import OF_THE_MODEL
from receiver.core.policies import fill, is_model_name, template_parts
from receiver.core.regexes import Regex
from receiver.secret_files import read_secret, read_token

PACKAGES = frozenset({".yaml", ".yml", ".json"})
"""Suffixes of a compiled pipeline; other names are those of uploaded pipelines."""

GITHUB_INPUTS = 25
RESERVED_INPUT = "dispatch_id"
OF_THE_ALERT = ("value", "alertname")


def check(file: FileSection, folder: Path) -> Iterator[Complaint]:
    """Find what no single setting shows. Settings that could not be read are None here."""
    yield from _check_storage(file, folder)
    yield from _check_auth(file, folder)
    yield from check_tenants(file)
    yield from check_budgets(file)
    shared = _is_shared(file.storage, folder)
    for name, target in file.targets.items():
        yield from _check_target(("targets", name), target, folder)
        if shared and target.kfp and target.kfp.endpoint == LOCAL:
            yield Complaint(
                ("targets", name, "kfp", "endpoint"),
                "local pipelines need SQLite storage: other replicas can't see a run on this "
                "machine; write the address of a Kubeflow cluster, or storage: "
                "{url: sqlite:///receiver.db}",
            )
    names: set[str] = set()
    for number, policy in enumerate(file.policies):
        place: Place = ("policies", number)
        if policy.name in names:
            yield Complaint(
                (*place, "name"), f"{policy.name!r} is there already; write another name"
            )
        names.update(filter(None, [policy.name]))
        yield from _check_model(place, policy)
        if policy.target is not None and policy.target not in file.targets:
            hint = did_you_mean(policy.target, list(file.targets))
            yield Complaint((*place, "target"), f"unknown target {policy.target!r}; {hint}")
        elif policy.target is not None:
            yield from _check_fields(policy, file.targets[policy.target])
    yield from check_announcements(file, folder)
    yield from check_sources(file.sources, folder)
    yield from _check_links(file)


def _tried(place: Place, check_one: Callable[[Path], object], path: Path) -> Iterator[Complaint]:
    try:
        check_one(path)
    except ValueError as error:
        yield Complaint(place, str(error), of_file=True)


def _check_storage(file: FileSection, folder: Path) -> Iterator[Complaint]:
    storage = file.storage
    if {"url", "url_file"} <= storage.model_fields_set:
        yield Complaint(("storage",), "has both url and url_file; keep one of them")
    if storage.url_file:
        path = in_folder(folder, storage.url_file)
        yield from _tried(
            ("storage", "url_file"), lambda path: check_storage_url(read_secret(path)), path
        )


def _is_shared(storage: StorageSection, folder: Path) -> bool:
    """Whether other replicas may use the same storage. What can't be read is told elsewhere."""
    url = storage.url
    if storage.url_file:
        try:
            url = check_storage_url(read_secret(in_folder(folder, storage.url_file)))
        except ValueError:
            return False
    return url is not None and url.startswith("postgresql")


def _check_auth(file: FileSection, folder: Path) -> Iterator[Complaint]:
    if file.auth and file.auth.proxy:
        yield from _check_proxy(file.auth.proxy)
    for role in ("webhook", "operator", "reader"):
        names: set[str] = set()
        for number, token in enumerate(getattr(file.auth, role, None) or ()):
            place: Place = ("auth", role, number)
            if token.name in names:
                yield Complaint(
                    (*place, "name"), f"{token.name!r} is there already; write another"
                )
            names.update(filter(None, [token.name]))
            if token.token_file:
                path = in_folder(folder, token.token_file)
                yield from _tried((*place, "token_file"), read_secret, path)


def _check_links(file: FileSection) -> Iterator[Complaint]:
    models = [policy.model for policy in file.policies or () if policy.model]
    known = {*OF_THE_MODEL, *(label for model in models for label in model.labels or ())}
    for name, template in (file.links or {}).items():
        for field in fields_of(template or ""):
            if field not in known:
                yield Complaint(
                    ("links", name),
                    f"{{{field}}} is no label that names models; "
                    f"{did_you_mean(field, sorted(known))}",
                )


def _check_proxy(proxy: ProxySection) -> Iterator[Complaint]:
    place: Place = ("auth", "proxy")
    groups = {*(proxy.roles.operator or ()), *(proxy.roles.reader or ())} if proxy.roles else set()
    if not groups and not proxy.tenants:
        yield Complaint(
            (*place, "roles"),
            "gives nobody a role; write {operator: [ml-on-call], reader: ['*']}",
        )
    if {*groups, *(proxy.tenants or ())} - {"*"} and proxy.groups_header is None:
        yield Complaint(
            (*place, "groups_header"),
            "is missing, so nobody is in a group; write X-Forwarded-Groups, and let the proxy "
            "set it",
        )
    separator = proxy.groups_separator
    for group in sorted({*groups, *(proxy.tenants or ())}):
        if separator and separator in group.strip():
            yield Complaint(
                (*place, "groups_separator"),
                f"is {separator!r}, which the name of the group {group!r} holds, so nobody is in "
                "it; write what the proxy puts between two groups",
            )


def _check_target(place: Place, target: TargetSection, folder: Path) -> Iterator[Complaint]:
    sections = {"github": target.github, "kfp": target.kfp, "http": target.http}
    kinds = [kind for kind in sections if kind in target.model_fields_set]
    if not kinds:
        yield Complaint(place, "has none of github, kfp and http; write one of them")
    if len(kinds) > 1 and all(sections[kind] for kind in kinds):
        said = f"both {kinds[0]} and {kinds[1]}; make two targets of them"
        yield Complaint(place, f"has {'all kinds; keep one of them' if kinds[2:] else said}")
    for kind, section in sections.items():
        if section is not None:
            yield from _check_following(place, target, kind, section, folder)
    if target.ca_file:
        yield from _tried((*place, "ca_file"), read_certificate, in_folder(folder, target.ca_file))
    if target.github is not None:
        yield from _check_github((*place, "github"), target.github, folder)
    if target.kfp is not None:
        yield from _check_kfp((*place, "kfp"), target.kfp, folder)
    if target.http is not None:
        yield from check_http((*place, "http"), target.http, folder)


def _check_following(
    place: Place, target: TargetSection, kind: str, section: FollowingSection, folder: Path
) -> Iterator[Complaint]:
    """What may stand beside a kind or within it, but not both."""
    for setting in FollowingSection.model_fields:
        if getattr(section, setting) and getattr(target, setting):
            yield Complaint((*place, setting), f"is also in {kind}; keep one of them")
    if section.ca_file:
        path = in_folder(folder, section.ca_file)
        yield from _tried((*place, kind, "ca_file"), read_certificate, path)


def _check_github(place: Place, github: GithubSection, folder: Path) -> Iterator[Complaint]:
    credentials = {"token_file", "app"} & github.model_fields_set
    if len(credentials) != 1:
        both = "has both token_file and app; keep one of them"
        none = "has no credentials; write token_file or app"
        yield Complaint(place, both if credentials else none)
    if github.token_file:
        path = in_folder(folder, github.token_file)
        yield from _tried((*place, "token_file"), read_token, path)
    if github.app and github.app.private_key_file:
        path = in_folder(folder, github.app.private_key_file)
        yield from _tried((*place, "app", "private_key_file"), read_private_key, path)
    inputs = github.inputs or {}
    if RESERVED_INPUT in inputs:
        yield Complaint(
            (*place, "inputs", RESERVED_INPUT), "is sent with every run anyway; remove this line"
        )
    if len(inputs) >= GITHUB_INPUTS:
        yield Complaint(
            (*place, "inputs"),
            f"has {len(inputs)} entries, but GitHub takes {GITHUB_INPUTS} with our dispatch_id; "
            "remove some",
        )


def _check_kfp(place: Place, kfp: KfpSection, folder: Path) -> Iterator[Complaint]:
    local = kfp.endpoint == LOCAL
    if kfp.pipeline and (local or is_package(kfp.pipeline)):
        yield from _tried((*place, "pipeline"), need_file, in_folder(folder, kfp.pipeline))
    if kfp.pipeline_version and (local or is_package(kfp.pipeline or "")):
        yield Complaint(
            (*place, "pipeline_version"),
            "is for an uploaded pipeline, and pipeline is a compiled package; remove it, or write "
            "the uploaded pipeline's name",
        )
    if kfp.python and local:
        yield from _tried((*place, "python"), need_program, in_folder(folder, kfp.python))
    if kfp.token_file and not local:
        yield from _tried((*place, "token_file"), read_token, in_folder(folder, kfp.token_file))


def is_package(pipeline: str) -> bool:
    """Whether this is the path of a compiled package rather than an uploaded pipeline's name."""
    return Path(pipeline).is_absolute() or Path(pipeline).suffix in PACKAGES


def _check_model(place: Place, policy: PolicySection) -> Iterator[Complaint]:
    if policy.model is None or policy.model.name is None:
        return
    place = (*place, "model", "name")
    name, used = policy.model.name, fields_of(policy.model.name)
    if not used:
        yield Complaint(
            place, f"{name!r} is the same for every alert; name a label, as in '{{user_id}}'"
        )
    for text, _ in template_parts(name):
        if re.fullmatch(r"[A-Za-z0-9._:@/-]*", text) is None:
            yield Complaint(
                place, f"{text!r} can't be in a model's name; use letters, digits and . _ : @ / -"
            )
            return
    if not is_model_name(fill(name, dict.fromkeys(used, "x"))):
        yield Complaint(
            place,
            f"{name!r} never gives a valid name; begin with a letter, a digit or a label, end "
            "without /, and leave out // and /../",
        )
        return
    if policy.model.labels is not None:
        known = list(policy.model.labels)
        for field in dict.fromkeys(used):
            if field not in known:
                yield Complaint(
                    place, f"{{{field}}} is not among model.labels; {did_you_mean(field, known)}"
                )
        yield from _check_joints(place, name, used, policy.model.labels)


def _check_joints(
    place: Place, name: str, used: list[str], labels: Mapping[str, str]
) -> Iterator[Complaint]:
    """Two sets of labels must not share a name: one of the two would never be retrained."""
    try:
        patterns = {field: Regex(labels[field]) for field in used}
    except (KeyError, ValueError):
        return  # told elsewhere
    found = ambiguity_of(name, patterns)
    if found is None:
        return
    one, other = (
        ", ".join(f"{label}={value}" for label, value in values.items())
        for values in (found.one, found.other)
    )
    separator = clear_separator(name, patterns)
    cure = "take what joins them out of one of the patterns"
    if separator is not None:
        mended = separator.join(f"{{{field}}}" for field in used)
        cure = f"write '{mended}', or {cure}"
    for label in dict.fromkeys(used):
        if (happens := what_happens(label)) is not None:
            cure = f"{cure}; {label} {happens}"
    shared = f"({one}) and ({other}) are both {found.name!r}"
    yield Complaint(place, f"{name!r} gives two models one name: {shared}; {cure}")


def _check_fields(policy: PolicySection, target: TargetSection) -> Iterator[Complaint]:
    """What a run is told must be known of every model that the policy names."""
    if policy.model is None or policy.model.labels is None:
        return
    labels = list(policy.model.labels)
    known = [*labels, *OF_THE_ALERT]
    place: Place = ("targets", policy.target)
    github, kfp = target.github, target.kfp
    if github is not None:
        for name, template in (github.inputs or {}).items():
            yield from _unknown((*place, "github", "inputs", name), template, known, policy)
    if kfp is not None:
        for name, template in (kfp.parameters or {}).items():
            yield from _unknown((*place, "kfp", "parameters", name), template, known, policy)
        if kfp.namespace is not None:
            yield from _unknown((*place, "kfp", "namespace"), kfp.namespace, labels, policy)
    if target.http is not None:
        yield from unknown_fields((*place, "http"), target.http, policy.model.labels, policy.name)


def _unknown(
    place: Place, template: str, known: list[str], policy: PolicySection
) -> Iterator[Complaint]:
    for field in dict.fromkeys(fields_of(template)):
        if field not in known:
            yield Complaint(
                place,
                f"{{{field}}} is not among the model.labels of policy {policy.name!r}; "
                f"{did_you_mean(field, known)}",
            )
