"""How long the processes of a lab have waited for a processor: so much a busy machine adds to what they take."""

from pathlib import Path

from tests.e2e.labs import processes


class Waited:
    """Agents, switches and controller of a lab, since this was made."""

    def __init__(self, lab):
        self._place = str(lab.folder / lab.name)
        self._before = self._delays()

    def _delays(self):
        """By PID, in seconds: the second number of /proc/PID/schedstat, which is in nanoseconds."""
        found = {}
        for pid, _ in processes(self._place):
            try:
                found[pid] = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
            except OSError:
                continue
        return found

    def _each(self):
        return [delay - self._before.get(pid, 0.0) for pid, delay in self._delays().items()]

    def seconds(self):
        """All together: what one does for another is waited for one after the other."""
        return sum(self._each())

    def most(self):
        """The one that waited longest."""
        return max(self._each())
