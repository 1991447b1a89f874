"""Random histories: whatever order things arrive in, the store is right and its handlers know the same."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rbgctrl.api.core import ConfigMap
from rbgctrl.api.meta import ObjectMeta, OwnerReference
from rbgctrl.client.decode import Invalid
from rbgctrl.informers import Change, ChangeType
from rbgctrl.informers.writer import WritableStore

NAMES = ["x", "y", "z"]
OWNERS = ["", "o1", "o2"]
APPS = ["web", "db"]
LABELS = st.sets(st.sampled_from(APPS))

Stored = ConfigMap | Invalid


def apps(item: ConfigMap) -> list[str]:
    return sorted(item.metadata.labels)


class StoreMachine(RuleBasedStateMachine):
    """A server with a full history, a store that hears of it in any order, and a handler.

    Invariants: the newest version the store heard of wins; what it was told is deleted does not come back; indexes
    equal a recomputation; the changes it returned add up to its content, none of them twice.
    """

    @initialize()
    def start(self) -> None:
        self.store: WritableStore[ConfigMap] = WritableStore(clock=lambda: 0.0)
        self.store.add_index("app", apps)
        self.rv = 0
        self.uids = 0
        self.live: dict[str, Stored] = {}
        self.history: list[tuple[str, Stored, int]] = []
        self.heard: dict[str, tuple[int, Stored | None]] = {}  # by name: the newest event delivered
        self.view: dict[str, Stored] = {}
        self.delivered: set[tuple[str, str, int]] = set()

    # The server

    @rule(name=st.sampled_from(NAMES), owner=st.sampled_from(OWNERS), labels=LABELS, bad=st.booleans())
    def write(self, name: str, owner: str, labels: set[str], *, bad: bool) -> None:
        self.rv += 1
        known = self.live.get(name)
        if known is None:
            self.uids += 1
        meta = ObjectMeta(
            name=name,
            namespace="a",
            uid=known.metadata.uid if known else f"u{self.uids}",
            resource_version=str(self.rv),
            labels=dict.fromkeys(labels, "1"),
            owner_references=(OwnerReference(uid=owner, controller=True),) if owner else (),
        )
        self.live[name] = Invalid(meta, "odd") if bad else ConfigMap(metadata=meta)
        self.history.append(("PUT", self.live[name], self.rv))

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        self.rv += 1
        gone = self.live.pop(data.draw(st.sampled_from(sorted(self.live))))
        self.history.append(("REMOVE", gone, self.rv))

    # What the store hears

    @precondition(lambda self: self.history)
    @rule(data=st.data())
    def deliver_any_event_of_the_past(self, data: st.DataObject) -> None:
        self._hear(data.draw(st.sampled_from(self.history)))

    @precondition(lambda self: self.history)
    @rule()
    def deliver_the_newest_event(self) -> None:
        self._hear(self.history[-1])

    @precondition(lambda self: self.history)
    @rule(data=st.data())
    def write_through(self, data: st.DataObject) -> None:
        kind, item, rv = data.draw(st.sampled_from(self.history))
        if kind == "PUT" and isinstance(item, ConfigMap):
            if rv > self.store.rv:
                self._note(kind, item, rv)
            self._fold(self.store.observe(item, rv))

    @rule(back=st.integers(0, 5), data=st.data())
    def relist(self, back: int, data: st.DataObject) -> None:
        """A list of any moment since the last one, given as initial events in any order with some history mixed in."""
        rv = max(self.store.rv, self.rv - back)
        past = [entry for entry in self.history if entry[2] <= rv]
        content = {item.metadata.name: (kind, item, version) for kind, item, version in past}
        objects = [(item, version) for kind, item, version in content.values() if kind == "PUT"]
        self.store.begin("")
        self.store.stage("", data.draw(st.permutations(objects)))
        for kind, item, version in past[-3:]:
            if kind == "PUT":
                self.store.stage("", [(item, version)] if (item, version) in objects else [])
            else:
                self.store.unstage("", item, version)
        before = set(self.delivered)
        self._fold(self.store.swap("", rv, rewind=False, initial=False), relist=True)
        assert before <= self.delivered
        for name in NAMES:
            if self.heard.get(name, (0, None))[0] <= rv:
                there = content.get(name)
                self.heard[name] = (there[2], there[1]) if there is not None and there[0] == "PUT" else (rv, None)
        self.store.advance("", rv)

    @precondition(lambda self: self.rv > 3)
    @rule(back=st.integers(1, 3))
    def rewind(self, back: int) -> None:
        """The cluster is restored from a backup and goes on from there."""
        self.rv -= back
        self.history = [entry for entry in self.history if entry[2] <= self.rv]
        content = {item.metadata.name: (kind, item, version) for kind, item, version in self.history}
        self.live = {name: item for name, (kind, item, _) in content.items() if kind == "PUT"}
        self.delivered = set()
        self.store.begin("")
        self.store.stage("", [(item, version) for kind, item, version in content.values() if kind == "PUT"])
        self._fold(self.store.swap("", self.rv, rewind=True, initial=False), relist=True)
        self.store.advance("", self.rv)
        self.heard = dict.fromkeys(NAMES, (self.rv, None))
        self.heard |= {name: (item.metadata.rv, item) for name, item in self.live.items()}
        assert self.view == self.live

    # Helpers

    def _hear(self, entry: tuple[str, Stored, int]) -> None:
        kind, item, rv = entry
        self._note(kind, item, rv)
        self._fold(self.store.put(item, rv) if kind == "PUT" else self.store.remove(item, rv))

    def _note(self, kind: str, item: Stored, rv: int) -> None:
        if rv > self.heard.get(item.metadata.name, (0, None))[0]:
            self.heard[item.metadata.name] = (rv, item if kind == "PUT" else None)

    def _fold(self, changes: Any, *, relist: bool = False) -> None:
        for change in changes:
            self._fold_one(change, relist=relist)

    def _fold_one(self, change: Change[ConfigMap], *, relist: bool) -> None:
        meta = change.obj.metadata
        stamp = (change.type.value, meta.uid, meta.rv)
        assert relist or stamp not in self.delivered or change.type is ChangeType.DELETED
        self.delivered.add(stamp)
        known = self.view.get(meta.name)
        if change.type is ChangeType.DELETED:
            assert known is not None
            assert known.metadata.uid == meta.uid
            assert change.new is None
            del self.view[meta.name]
            return
        assert change.old is (None if change.type is ChangeType.ADDED else known)
        assert (known is None) is (change.type is ChangeType.ADDED)
        assert change.new is not None
        self.view[meta.name] = change.new

    # What must be true at any time

    @invariant()
    def the_newest_version_wins_and_the_deleted_stay_deleted(self) -> None:
        wanted = {name: item for name, (_, item) in self.heard.items() if item is not None}
        assert self._content() == wanted

    @invariant()
    def handlers_know_what_the_store_holds(self) -> None:
        assert self._content() == self.view

    @invariant()
    def indexes_equal_a_recomputation(self) -> None:
        valid = sorted((item for item in self._content().values() if isinstance(item, ConfigMap)), key=lambda i: i.key)
        for app in APPS:
            assert self.store.by("app", app) == [item for item in valid if app in item.metadata.labels]
        for owner in OWNERS[1:]:
            owned = [item for item in valid if any(ref.uid == owner for ref in item.metadata.owner_references)]
            assert self.store.owned(owner) == owned
        assert self.store.list() == valid
        for item in valid:
            assert self.store.by_uid(item.metadata.uid) is item
        assert len(self.store._uids) == len(self.store)

    def _content(self) -> dict[str, Stored]:
        return {item.metadata.name: item for item in self.store.everything()}


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
