"""The chain from rule to run as it was read, and which rules belong to which policy."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from urllib.parse import urlsplit

from receiver.config import Config
from receiver.core.containment import values_of
from receiver.core.policies import Policy
from receiver.lint.alertmanager_files import (
    AlertmanagerFile,
    Route,
    Webhook,
    all_routes,
    ends_as_ours,
)
from receiver.lint.documents import Document
from receiver.lint.findings import Finding
from receiver.lint.label_sets import Answer, LabelSet, all_of, answer_all
from receiver.lint.questions import Questions
from receiver.lint.relabelling import Steps, relabelled, steps_of
from receiver.lint.route_index import RouteIndex
from receiver.lint.routing import Arrival, arrivals, pruned
from receiver.lint.rule_files import Rule, World, label_set, outline

OUR_NAME = "retrain-receiver"


@dataclass(frozen=True, slots=True)
class Taken:
    """A rule, the labels of its alerts, and the policies that take them.

    Attributes:
        told: The labels as Prometheus makes them.
        labels: The labels as Alertmanager hears them, after relabelling.
        policies: In the file's order, up to the first that surely takes them.

    """

    rule: Rule
    told: LabelSet
    labels: LabelSet
    policies: Sequence[tuple[Policy, Answer]]

    @property
    def sure(self) -> bool:
        """Whether some policy surely takes its alerts."""
        return any(answer is Answer.YES for _, answer in self.policies)


@dataclass(frozen=True)
class Chain:
    """Everything that was read.

    Attributes:
        document: The receiver's own file.
        alertmanager: None if it was not given, or could not be read.
        prometheus: Prometheus' own configuration.
        rules: None if neither rules nor Prometheus were given.
        receiver_names: What `--receiver` says, or `sources`: the receivers that post to us.
        unreadable: What was found on reading.

    """

    config: Config
    document: Document
    alertmanager: AlertmanagerFile | None = None
    prometheus: Document | None = None
    rules: Sequence[Rule] | None = None
    receiver_names: frozenset[str] = frozenset()
    workflows: Sequence[Document] = ()
    packages: Sequence[Document] = ()
    world: World = field(default_factory=World)
    unreadable: Sequence[Finding] = ()

    @cached_property
    def taken(self) -> list[Taken]:
        """The rules with the policies that take them; those whose alerts are dropped have none."""
        return [self._taken(rule) for rule in self.rules or ()]

    def _taken(self, rule: Rule) -> Taken:
        # Most rules are others': their expressions need not be followed.
        taken = self._sent(rule, outline(rule))
        return self._sent(rule, label_set(rule, self._world)) if taken.policies else taken

    def _sent(self, rule: Rule, told: LabelSet) -> Taken:
        sent = told
        for _, step in self._steps:
            # A check says who drops an alert; here it goes on as it was.
            sent = relabelled(sent, step) or sent
        return Taken(rule, told, sent, self._policies_of(sent))

    def _policies_of(self, labels: LabelSet) -> Sequence[tuple[Policy, Answer]]:
        """The policies that take alerts of these labels, up to the first that surely does."""
        questions, index, known = self._asked_of_policies
        key = questions.key(labels)
        if key not in known:
            known[key] = list(_policies(self.config.policies, index, labels))
        return known[key]

    @cached_property
    def _asked_of_policies(
        self,
    ) -> tuple[Questions, RouteIndex, dict[Hashable, Sequence[tuple[Policy, Answer]]]]:
        matchers = [each.matchers for each in self.config.policies]
        return Questions(chain.from_iterable(matchers)), RouteIndex(matchers), {}

    @cached_property
    def _steps(self) -> Steps:
        """Those of `alert_relabel_configs`."""
        return steps_of(self.prometheus)

    @cached_property
    def _world(self) -> World:
        """Series are thought to have the labels that name models, unless Prometheus was asked."""
        names = (name for policy in self.config.policies for name in policy.identity)
        return self.world.with_usual(frozenset(names))

    @cached_property
    def ours(self) -> list[Taken]:
        """The rules that retrain something."""
        return [each for each in self.taken if each.policies]

    @property
    def is_confirmed(self) -> bool:
        """Whether Alertmanagers are asked which alerts fire."""
        return self.config.sources is not None and self.config.sources.confirms

    @property
    def asks_values(self) -> bool:
        """Whether Prometheus is asked for the number of an alert that carries none."""
        return self.config.sources is not None and self.config.sources.prometheus is not None

    @cached_property
    def our_receivers(self) -> frozenset[str]:
        """Names of Alertmanager's receivers that post to us."""
        if self.alertmanager is None:
            return frozenset()
        named = self.receiver_names & self.alertmanager.receivers.keys()
        return named or frozenset(each.receiver for each in self.our_webhooks)

    @cached_property
    def our_webhooks(self) -> list[Webhook]:
        """The `webhook_configs` that post to us."""
        if self.alertmanager is None:
            return []
        webhooks = self.alertmanager.webhooks
        named = self.receiver_names & self.alertmanager.receivers.keys()
        if named or self.receiver_names:
            return [each for each in webhooks if each.receiver in named]
        # `/webhook` is a common path: a host or a receiver that is called as we are says more.
        known = [each for each in webhooks if self._names_us(each)]
        return known or [each for each in webhooks if ends_as_ours(each)]

    def _names_us(self, webhook: Webhook) -> bool:
        host = urlsplit(str(webhook.get("url") or "")).hostname
        ours = urlsplit(self.config.server.external_url or "").hostname
        return host is not None and (host == ours or OUR_NAME in host)

    @cached_property
    def pairs(self) -> list[tuple[Route, Policy]]:
        """Routes to us with the policies whose alerts take them; all that fit, without rules."""
        if self.alertmanager is None:
            return []
        routes = {
            each.path: each
            for each in all_routes(self.alertmanager.route)
            if each.receiver in self.our_receivers
        }
        policies = {each.name: each for each in self.config.policies}
        if self.rules is None:
            fitting = [
                (path, name)
                for path, route in routes.items()
                for name, policy in policies.items()
                if _fit(route, policy)
            ]
        else:
            fitting = [
                (arrival.route.path, policy.name)
                for taken, found in self.arrivals
                for arrival in found
                if arrival.route.path in routes
                for policy, _ in taken.policies
            ]
        return [(routes[path], policies[name]) for path, name in dict.fromkeys(fitting)]

    @cached_property
    def arrivals(self) -> list[tuple[Taken, list[Arrival]]]:
        """By which routes the alerts of each of our rules come to us, or may."""
        if self.tree is None:
            return []
        return [(each, self.arrivals_of(each.labels)) for each in self.ours]

    def arrivals_of(self, labels: LabelSet) -> list[Arrival]:
        """By which routes alerts of these labels come to us, or may."""
        if self.tree is None:
            return []
        key = self.way(labels)
        if key not in self._arrivals:
            self._arrivals[key] = arrivals(self.tree, labels, ours=self.our_receivers)
        return self._arrivals[key]

    def way(self, labels: LabelSet) -> Hashable:
        """The same for two sets of labels that go the same way in Alertmanager."""
        return self._asked_of_routes.key(labels)

    @cached_property
    def _asked_of_routes(self) -> Questions:
        routes = all_routes(self.alertmanager.route) if self.alertmanager is not None else ()
        return Questions(each.matcher for route in routes for each in route.matchers)

    @cached_property
    def _arrivals(self) -> dict[Hashable, list[Arrival]]:
        return {}

    @cached_property
    def tree(self) -> Route | None:
        """The routes, as far as they lead to us."""
        if self.alertmanager is None or not self.our_receivers:
            return None
        return pruned(self.alertmanager.route, self.our_receivers)

    @cached_property
    def _routes_by_rule(self) -> dict[int, list[Route]]:
        return {id(taken.rule): [each.route for each in found] for taken, found in self.arrivals}

    def routes_of(self, rule: Rule) -> list[Route]:
        """The routes by which the alerts of a rule come to us."""
        return self._routes_by_rule.get(id(rule), [])


def _fit(route: Route, policy: Policy) -> bool:
    """Whether an alert could pass a route's own matchers and a policy's."""
    for each in route.matchers:
        mine, name = values_of(each.matcher), each.matcher.name
        same = [its for its in policy.matchers if its.name == name]
        if mine is not None and not any(
            all(its.matches({name: value}) for its in same) for value in mine
        ):
            return False
    return True


def _policies(
    policies: Sequence[Policy], index: RouteIndex, labels: LabelSet
) -> Iterator[tuple[Policy, Answer]]:
    for number, said in index.candidates(labels):
        whole = all_of((said, answer_all(index.rest[number], labels)))
        if whole is not Answer.NO:
            yield policies[number], whole
        if whole is Answer.YES:
            return
