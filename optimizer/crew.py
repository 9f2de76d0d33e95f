"""Who works on the sites of a fleet beside the process that plans it: processes forked from it, or workers of a cluster.

Sites are dealt out once: site n belongs to share n % (size + 1), and share 0 to the planning process itself. Whoever has a
share keeps its sites for good, and with them the bases of their relaxations.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from optimizer.blocks import Block
from optimizer.integers import Site

if TYPE_CHECKING:  # most plans are made by one process, which need not wait for what only several want
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

Words = tuple[Any, ...]
"""What a site's method is called with."""
Told = dict[int, Any]
"""Answers by the numbers of their sites."""


class LostError(Exception):
    """Whoever had a share answers no more; its sites must be done again."""


class Crew(Protocol):
    """`size` shares, from 1 on, each in good hands until it is lost."""

    size: int

    def ask(self, share: int, what: str, asked: dict[int, Words]) -> None:
        """Ask sites of a share one thing, without waiting; that it is lost is found out when it is heard."""
        ...

    def hear(self, share: int) -> Iterator[Told]:
        """Yield the answers to what was asked last, as they come, until all are there.

        Raises:
            LostError: the rest will not come.
        """
        ...

    def drop(self, share: int) -> None:
        """Have no more to do with a lost share."""
        ...

    def disband(self) -> str:
        """Let all others go, with what they keep; return in words who they were, where that is worth a word."""
        ...


def hired(
    blocks: Sequence[Block],
    options: dict[str, Any],
    workers: int,
    prepare: Callable[[], None],
    url: str | None = None,
    time_s: float = float("inf"),
) -> Crew:
    """Return a crew for some sites.

    Arguments:
        blocks: the sites.
        options: of HiGHS, for sites.
        workers: processes on this machine, this one counted, where no cluster shares the sites out.
        prepare: called first in every process that is forked.
        url: of a cluster whose workers take the shares. Where it cannot be used, the crew is of this machine and says why.
        time_s: what there is for the whole plan; a cluster that does not answer takes little of it.
    """
    words = ""
    if url is not None:
        from optimizer.cluster import Cluster
        from optimizer.cluster_workers import ClusterError
        from optimizer.engine_url import NOT_SHARED

        try:
            return Cluster(url, blocks, options, time_s)
        except ClusterError as error:
            words = f"; {NOT_SHARED}{url}: {error}"
    return Forked(blocks, options, workers, prepare, words)


class Forked:
    """Processes of this machine, which are forked with their sites and hear of work by a pipe."""

    def __init__(
        self, blocks: Sequence[Block], options: dict[str, Any], workers: int, prepare: Callable[[], None], words: str = ""
    ) -> None:
        every = max(1, min(workers, len(blocks)))
        self.size, self._words = every - 1, words
        self._pipes: dict[int, Connection] = {}
        self._processes: list[ForkProcess] = []
        if every == 1:
            return
        from multiprocessing import get_context

        fork = get_context("fork")
        for share in range(1, every):
            ours, theirs = fork.Pipe()
            mine = {n: blocks[n] for n in range(share, len(blocks), every)}
            not_its_own = [*self._pipes.values(), ours]
            work = (mine, options, theirs, not_its_own, prepare)
            self._processes.append(fork.Process(target=_work, args=work, daemon=True))
            self._processes[-1].start()
            theirs.close()
            self._pipes[share] = ours

    def ask(self, share: int, what: str, asked: dict[int, Words]) -> None:
        """Send it."""
        with suppress(OSError):
            self._pipes[share].send((what, asked))

    def hear(self, share: int) -> Iterator[Told]:
        """Yield all answers at once."""
        try:
            yield self._pipes[share].recv()
        except (EOFError, OSError) as error:
            raise LostError(f"{error}") from None

    def drop(self, share: int) -> None:
        """Close its pipe, so that it ends if it still lives."""
        self._pipes.pop(share).close()

    def disband(self) -> str:
        """Let the processes end."""
        for pipe in self._pipes.values():
            with suppress(OSError):
                pipe.send(None)
        for process in self._processes:
            process.join()
        return self._words


def _work(
    blocks: dict[int, Block],
    options: dict[str, Any],
    pipe: "Connection",
    not_its_own: Sequence["Connection"],
    prepare: Callable[[], None],
) -> None:
    """Answer for one's own sites until the pipe ends, which it does when the other end is closed wherever it was forked to."""
    prepare()
    for other in not_its_own:
        other.close()
    sites = {n: Site(block, options) for n, block in blocks.items()}
    while True:
        try:
            told = pipe.recv()
        except EOFError:
            return
        if told is None:
            return
        what, asked = told
        pipe.send({n: getattr(sites[n], what)(*words) for n, words in asked.items()})
