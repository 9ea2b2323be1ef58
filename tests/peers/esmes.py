"""ESMEs made of smpplib: they submit in windows, take their receipts, and report what they saw.

`esmes.py PORT`. On stdin, `bind` has another ESME bind, and the end of the input has all of them finish: what is owed is
waited for, and they unbind. On stdout come lines of JSON: how far they are, and at the end the report. The ESMEs in
JavaScript are driven in the same way.

`esmes.py PORT beyond`: what they submit goes to an SMSC beyond the gateway, which replies to some messages. One more ESME has
one submit_sm unanswered at most.
"""

import json
import os
import re
import select
import sys
import time

from smpplib import client, consts, gsm, smpp

# So many submit_sm of an ESME are unanswered at most, and so many receipts owed to all of them.
WINDOW = 20
OWED_MAX = 400
# An ESME that submits nothing asks so often whether the other side is there; the gateway asks more often.
ENQUIRE_SECONDS = 1.5
TELL_SECONDS = 0.05
# So long it is listened after the last receipt, so that one that comes twice is seen.
LISTEN_SECONDS = 1
STDIN = 0
BEYOND = sys.argv[2:] == ["beyond"]
# To each such message there is a reply.
REPLIED_TO = re.compile(rb"message \d*4")
SOURCES = {"busy": "100", "pair": "101", "steady": "102", "late": "103"}


class Esme(client.Client):
    """One bind."""

    def __init__(self, port, account, mode, seen, submits=True, window=WINDOW):
        # It knows all that the gateway sends: what it did not know would be an error here.
        super().__init__("127.0.0.1", port, timeout=20, allow_unknown_opt_params=False)
        self.seen = seen
        self.submits = submits
        self.window = window
        self.source = SOURCES.get(account)
        self.unanswered = {}
        self.asked = set()
        self.ask_at = time.monotonic() + ENQUIRE_SECONDS
        self.set_message_sent_handler(self.submitted)
        self.set_message_received_handler(self.received)
        self.set_error_pdu_handler(lambda pdu: seen.wrong(f"{pdu.command} {pdu.sequence}: status {pdu.status}"))
        self.connect()
        getattr(self, f"bind_{mode}")(system_id=account, password="secret")

    def read_pdu(self):
        """Looks at what the library answers, or passes over, by itself."""
        pdu = super().read_pdu()
        if pdu.command == "enquire_link":
            self.seen.enquired += 1
        elif pdu.command == "enquire_link_resp":
            if pdu.sequence not in self.asked:
                self.seen.wrong(f"enquire_link_resp {pdu.sequence} to nothing")
            self.asked.discard(pdu.sequence)
            self.seen.enquiries_answered += 1
        elif pdu.command not in ("submit_sm_resp", "deliver_sm", "unbind_resp") and not pdu.command.startswith("bind_"):
            self.seen.wrong(f"{pdu.command} {pdu.sequence}")
        return pdu

    def leave(self):
        """Unbinds. What comes before the response is an enquire_link, which needs no answer any more."""
        pdu = self.unbind()
        while pdu.command != "unbind_resp":
            pdu = self.read_pdu()
        self.disconnect()

    def fill(self):
        """Submits until the window is full."""
        while self.submits and len(self.unanswered) < self.window and self.seen.owed() < OWED_MAX:
            n = self.seen.next()
            for parameters in short(n) if self.window == 1 else message(n):
                pdu = self.send_message(
                    source_addr_ton=consts.SMPP_TON_INTL,
                    source_addr=self.source,
                    dest_addr_ton=consts.SMPP_TON_INTL,
                    destination_addr="200",
                    registered_delivery=True,
                    **parameters,
                )
                content = parameters["short_message"] or parameters["message_payload"]
                self.unanswered[pdu.sequence] = content.hex()
                if BEYOND and REPLIED_TO.fullmatch(content):
                    self.seen.awaited.add("reply to " + content.decode())
                self.seen.submitted += 1

    def enquire(self):
        """Asks whether the other side is there, now and then."""
        if not self.submits and self.ask_at <= time.monotonic():
            self.ask_at += ENQUIRE_SECONDS
            pdu = smpp.make_pdu("enquire_link", client=self)
            self.asked.add(pdu.sequence)
            self.send_pdu(pdu)

    def submitted(self, pdu):
        """A response to a submit_sm."""
        content = self.unanswered.pop(pdu.sequence, None)
        if content is None:
            self.seen.wrong(f"submit_sm_resp {pdu.sequence} to nothing")
        else:
            self.seen.messages.append({"id": pdu.message_id.decode(), "source": self.source, "content": content})

    def received(self, pdu):
        """A deliver_sm: a reply, or a receipt, whose text and TLVs say the same."""
        reply = pdu.short_message.decode(errors="replace")
        if reply in self.seen.awaited:
            if pdu.esm_class != 0 or pdu.source_addr != b"200":
                self.seen.wrong(f"a reply from {pdu.source_addr}")
            self.seen.awaited.discard(reply)
            self.seen.replies.append(reply)
            return
        text = re.fullmatch(rb"id:(\S+) sub:001 dlvrd:001 .* stat:(\S+) err:000 text:.*", pdu.short_message)
        name = pdu.receipted_message_id.decode()
        delivered = pdu.message_state == consts.SMPP_MESSAGE_STATE_DELIVERED
        if not text or text[1].decode() != name or text[2] != b"DELIVRD" or not delivered or pdu.esm_class != 4:
            self.seen.wrong(f"deliver_sm {pdu.short_message}")
        self.seen.receipts.append(name)


class Seen:
    """What the ESMEs saw."""

    def __init__(self):
        self.messages, self.receipts, self.replies, self.unexpected = [], [], [], []
        # Replies that have not come yet.
        self.awaited = set()
        self.number = self.submitted = self.enquired = self.enquiries_answered = 0

    def next(self):
        self.number += 1
        return self.number

    def owed(self):
        return self.submitted - len(self.receipts) + len(self.awaited)

    def wrong(self, what):
        self.unexpected.append(what)

    def tell(self, binds):
        progress = {"binds": binds, "answered": len(self.messages), "receipts": len(self.receipts)}
        print(json.dumps(progress), flush=True)

    def report(self):
        report = {name: value for name, value in vars(self).items() if name != "awaited"}
        print(json.dumps({"report": report}), flush=True)


def message(n):
    """The parts of a message: a short one, a long one in parts with a header of its own, or a long one in a TLV."""
    if n % 10 == 7:
        return [{"short_message": b"", "message_payload": f"payload {n} ".encode() * 80}]
    text = f"message {n}"
    if n % 10 == 0:
        text += " grüßt 世界 🚀" * 12
    elif n % 10 == 5:
        text += " is longer than one part" * 10
    parts, data_coding, esm_class = gsm.make_parts(text)
    return [{"short_message": part, "data_coding": data_coding, "esm_class": esm_class} for part in parts]


def short(n):
    """A message in one part."""
    return [{"short_message": f"message {n}".encode(), "data_coding": consts.SMPP_ENCODING_DEFAULT, "esm_class": 0}]


def take(esmes, further, seconds):
    """Reads what has come, or comes within a while. Says whether the first of the `further` descriptors can be read."""
    sockets = {esme._socket.fileno(): esme for esme in esmes}
    readable = select.select([*sockets, *further], [], [], seconds)[0]
    for descriptor in sockets.keys() & set(readable):
        sockets[descriptor].read_once(auto_send_enquire_link=False)
    return not set(further).isdisjoint(readable)


def main():
    port, seen = int(sys.argv[1]), Seen()
    esmes = [
        Esme(port, "busy", "transceiver", seen),
        Esme(port, "pair", "transmitter", seen),
        Esme(port, "pair", "receiver", seen, submits=False),
        Esme(port, "quiet", "transceiver", seen, submits=False),
    ]
    if BEYOND:
        esmes.append(Esme(port, "steady", "transceiver", seen, window=1))
    finishing, tell_at = False, 0
    while not finishing or seen.owed() or any(esme.unanswered or esme.asked for esme in esmes):
        if tell_at <= time.monotonic():
            tell_at = time.monotonic() + TELL_SECONDS
            seen.tell(binds=len(esmes))
        for esme in esmes if not finishing else ():
            esme.fill()
            esme.enquire()
        if take(esmes, [] if finishing else [STDIN], TELL_SECONDS):
            # Not by Python's own buffers, into which select does not see.
            said = os.read(STDIN, 4096)
            finishing = not said
            esmes.extend(Esme(port, "late", "transceiver", seen) for _ in said.split())
    until = time.monotonic() + LISTEN_SECONDS
    while time.monotonic() < until:
        take(esmes, [], TELL_SECONDS)
    for esme in esmes:
        esme.leave()
    seen.report()


main()
