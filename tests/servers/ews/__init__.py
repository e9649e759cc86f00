"""An Exchange Server for tests: SOAP over HTTP as the documentation of EWS describes it, in memory.

`EwsServer` is the server, `Store` the mailbox in it. It refuses what the element tables do not allow (`tables`), keeps
SyncStates opaque, pages, throttles, streams, and fails on demand.
"""

from tests.servers.ews.server import EwsServer, Trouble
from tests.servers.ews.store import Store

__all__ = ["EwsServer", "Store", "Trouble"]
