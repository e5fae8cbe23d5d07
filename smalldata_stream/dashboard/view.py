"""What one browser sees: its tabs, its cards, its pause."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from bokeh.document import Document
from bokeh.layouts import row
from bokeh.models import (
    Button,
    Column,
    CustomJS,
    Div,
    InlineStyleSheet,
    RadioButtonGroup,
    Toggle,
)

from smalldata_stream.dashboard import style
from smalldata_stream.dashboard.card import Card
from smalldata_stream.dashboard.feed import Feed, State
from smalldata_stream.dashboard.text import (
    GONE_SECONDS,
    banner_text,
    header_text,
    run_name,
    run_text,
)

SECONDS = 0.2
"""A browser is told what is new at most so often..."""

IDLE_SECONDS = 0.4
"""... and of the time that passes while nothing is so often."""

LOOK_SECONDS = 0.04
"""How often it is looked whether there is something to tell."""

SHARE = 0.6
"""All browsers together may take this share of a processor; with more they are told less
often."""

DRAW_SECONDS = 0.1
"""A browser gets no more new figures at once than can be made in so long: meanwhile no
other browser is told anything."""

SAID_SECONDS = 5.0
"""What was done is said for so long; a reset must be confirmed within it."""

SILENT_SECONDS = 5.0
"""For a browser that has not answered for so long nothing is read any more."""

RUN_TAB = "Run"


class View:
    """What one browser sees of a feed.

    Only the plots of the open tab are read, drawn and sent. The browser answers every
    update, and is sent nothing before it has: one that is slow or asleep misses updates,
    and no queue grows.
    """

    def __init__(self, document: Document, feed: Feed) -> None:
        self._feed, self._document = feed, document
        self._cards: dict[str, Card] = {}
        self._groups: list[str] = []
        self._tab = ""
        self._paused_at = 0.0
        self._updates, self._sent_at, self._due = 0, time.monotonic(), 0.0
        self._clicked, self._undrawn = True, False
        self._said, self._said_until = "", 0.0
        self._asked: tuple[str, Future[None]] | None = None
        self._confirm_until = 0.0
        self._make_models()
        self._lay_out()
        document.add_periodic_callback(self.tick, round(LOOK_SECONDS * 1000))
        document.on_session_destroyed(lambda session_context: feed.leave(self))
        self.tick()

    def _make_models(self) -> None:
        self._header = text_model(style.HEADER, name="header")
        self._banner = text_model(style.BANNER, name="banner", visible=False)
        self._tabs = RadioButtonGroup(
            name="tabs", labels=[RUN_TAB], active=0, stylesheets=sheet(style.TABS)
        )
        self._tabs.on_change("active", lambda attr, old, new: self._open(new))
        self._pause = Toggle(label="Pause", stylesheets=sheet(style.BUTTON))
        self._pause.on_click(self._on_pause)
        self._reset = Button(label="Reset", stylesheets=sheet(style.BUTTON))
        self._reset.on_click(self._on_reset)
        self._body = Column(name="body", stylesheets=sheet(style.BODY))
        self._text = text_model(style.TEXT, css_classes=["whole"])

    def _lay_out(self) -> None:
        document = self._document
        document.template = style.TEMPLATE
        document.config.update(reconnect_session=False, notify_connection_status=False)
        # The tags of one model go to the browser, which puts them into those of another.
        self._sent, self._seen = self._header, self._banner
        args = {"sent": self._sent, "seen": self._seen}
        code = "seen.tags = sent.tags; window.beat = Date.now()"
        answer = CustomJS(args=args, code=code)
        self._sent.js_on_change("tags", answer)
        document.js_on_event("document_ready", answer)
        document.js_on_event("connection_lost", CustomJS(code="window.lost = true"))
        controls = row(self._pause, self._reset, name="controls", spacing=8)
        for root in (self._header, controls, self._banner, self._tabs, self._body):
            document.add_root(root)

    # ------------------------------------------------------------------------ what is new

    def tick(self) -> None:
        """Show what is new, unless the browser has not shown the last of it yet."""
        now = time.monotonic()
        if self._sent.tags != self._seen.tags:
            if now - self._sent_at > SILENT_SECONDS:
                self._feed.leave(self)
            return
        state = self._feed.state
        idle = not self._clicked and not self._has_new(state)
        due = self._undrawn or now >= self._due
        if not due or (idle and now < self._sent_at + IDLE_SECONDS):
            return
        self._clicked = False
        spent = time.thread_time()
        self._follow(state)
        self._say(state, now)
        drawing = self._update_cards(state, now)
        self._updates += 1
        self._sent.tags = [self._updates]
        self._sent_at = time.monotonic()
        spent = time.thread_time() - spent - drawing
        # From when it was due, not from now: looking comes late, and late adds up.
        pause = max(SECONDS, spent * max(1, self._feed.readers) / SHARE)
        self._due = max(min(self._due, now) + pause, now)

    def _has_new(self, state: State) -> bool:
        """Whether there is a message for the open tab that it does not show."""
        return any(
            card.group == self._tab and not card.shows(state.messages.get(card.topic))
            for card in self._cards.values()
        )

    def _follow(self, state: State) -> None:
        """Add what is new to the tabs and the open one, and have its plots read."""
        topics = state.topics
        for topic, about in topics.items():
            if topic not in self._cards:
                self._cards[topic] = Card(topic)
            self._cards[topic].group = group_of(topic, about)
        if topics:  # else the last plots there were stay, and say so
            self._cards = {topic: self._cards[topic] for topic in topics}
        groups = list(dict.fromkeys(card.group for card in self._cards.values()))
        if groups != self._groups:
            self._groups = groups
            if self._tab not in (*groups, RUN_TAB):
                self._tab = groups[0] if groups else ""
            self._tabs.labels = [*groups, RUN_TAB]
            self._tabs.active = self._tabs.labels.index(self._tab or RUN_TAB)
        shown = [card for card in self._cards.values() if card.group == self._tab]
        self._place(shown)
        paused = self._pause.active
        wanted = [card.topic for card in shown if not (paused and card.drawn)]
        self._feed.want(self, wanted)

    def _place(self, shown: Sequence[Card]) -> None:
        models = [card.model for card in shown] or [self._text]
        if self._body.children != models:
            self._body.children = models

    def _update_cards(self, state: State, now: float) -> float:
        """Show what is new; returns the seconds that new figures took."""
        cards = [card for card in self._cards.values() if card.group == self._tab]
        messages = {card: state.messages.get(card.topic) for card in cards}
        if self._pause.active:
            messages |= {card: None for card in cards if card.drawn}
        drawing, self._undrawn = 0.0, False
        for card, message in messages.items():
            if message is not None and card.drawn:
                card.show(message)
            elif message is not None and drawing < DRAW_SECONDS:
                begin = time.thread_time()
                card.show(message)
                drawing += time.thread_time() - begin
            elif message is not None:
                self._undrawn = True
            card.say(state.topics.get(card.topic), now - state.heard)
        self._place(cards)
        return drawing

    def _say(self, state: State, now: float) -> None:
        """Everything that is not a plot."""
        address, gone = self._feed.address, now - state.heard > GONE_SECONDS
        self._hear_of_reset(now)
        paused = f"Paused since {clock(self._paused_at)}" if self._pause.active else ""
        said = self._said if now < self._said_until else ""
        self._header.text = header_text(address, state, now)
        banner = banner_text(address, state, now, paused, said)
        self._banner.update(text=banner, visible=bool(banner))
        self._body.styles = {"opacity": "0.5"} if gone else {}
        name = run_name(state.index) if state.index else address
        title = f"⚠ {name}" if gone else name
        if self._document.title != title:
            self._document.title = title
        if self._body.children == [self._text]:
            self._text.text = run_text(state.index)
        self._pause.label = "Resume" if self._pause.active else "Pause"
        self._reset.disabled = (
            gone or self._asked is not None or not self._resettable(state)
        )
        sure = now < self._confirm_until
        self._reset.label = f"Reset {self._tab} for everybody?" if sure else "Reset"

    # ------------------------------------------------------------------------ what is asked

    def _open(self, number: int) -> None:
        labels = [*self._groups, RUN_TAB]
        self._tab = labels[number] if number < len(labels) else RUN_TAB
        self._confirm_until = 0.0
        self._follow(self._feed.state)
        self._clicked = True

    def _on_pause(self, active: bool) -> None:
        self._paused_at = time.time()
        self._clicked = True

    def _resettable(self, state: State) -> list[str]:
        """The plots that a reset would clear."""
        if not state.index.get("resets"):
            return []
        return [card.topic for card in self._cards.values() if card.group == self._tab]

    def _on_reset(self) -> None:
        """Ask back at the first click; ask the publisher at the second."""
        self._clicked = True
        now = time.monotonic()
        if now >= self._confirm_until:
            self._confirm_until = now + SAID_SECONDS
            return
        self._confirm_until = 0.0
        if topics := self._resettable(self._feed.state):
            self._asked = (self._tab, self._feed.reset(topics))

    def _hear_of_reset(self, now: float) -> None:
        if self._asked is None or not self._asked[1].done():
            return
        group, future = self._asked
        error = future.exception()
        self._said = f"not reset: {error}" if error else f"{group} begins anew"
        self._said_until, self._asked = now + SAID_SECONDS, None


def group_of(topic: str, about: Mapping[str, Any]) -> str:
    """The tab a plot belongs to; that of the run has none.

    >>> group_of("plots/gmd/energy_strip", {"group": "beam"}), group_of("plots/gmd/x", {})
    ('beam', 'gmd')
    >>> group_of("plots/gmd/x", {"group": "Run"}), group_of("plots/gmd/x", {"group": " "})
    ('Run (plots)', 'gmd')
    """
    group = str(about.get("group", "")).strip() or topic.split("/")[1] or topic
    return f"{group} (plots)" if group == RUN_TAB else group


def clock(seconds: float) -> str:
    """A moment of today, local time."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def text_model(css: str, **more: Any) -> Div:
    """A place for text with a style of its own."""
    return Div(stylesheets=sheet(css), disable_math=True, margin=0, **more)


def sheet(css: str) -> list[InlineStyleSheet]:
    """Style for a model."""
    return [InlineStyleSheet(css=css)]
