"""A gRPC subscription of a document, read by a thread of its own."""
import queue
import threading

import grpc

from support.rpc import refusal_of, statesync


class Stream:
    """A subscription: its events in a queue, and how it ended."""

    def __init__(self, caller, lives=120, **fields):
        self.events, self.ended, self.seen = queue.Queue(), None, []
        self.call = caller.stub.SubscribeDocument(statesync.SubscribeDocumentRequest(**fields), metadata=caller.metadata,
                                                  timeout=lives)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            for event in self.call:
                self.events.put(event)
            self.events.put(None)
        except grpc.RpcError as error:
            self.ended = refusal_of(error)
            self.events.put(None)

    def next(self, *types, timeout=20):
        """The next event, or the next one of these types; whatever is passed over is in `seen`."""
        while True:
            event = self.events.get(timeout=timeout)
            assert event is not None, f"ended: {self.ended}"
            self.seen.append(event)
            if not types or event.type in types:
                return event

    def started(self):
        return self.next("user_joined")

    def end(self, timeout=20):
        """Waits for its end; gives the refusal, None where it ended with OK."""
        while self.events.get(timeout=timeout) is not None:
            pass
        return self.ended

    def cancel(self):
        self.call.cancel()
        self.thread.join(20)
