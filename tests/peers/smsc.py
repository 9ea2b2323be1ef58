"""An SMSC made of smpp.twisted. It does, and writes down, what the one in JavaScript does, see smsc.js.

`smsc.py PORT LOG SEED`
"""

import json
import logging
import os
import random
import re
import sys

from smpp.pdu import constants, operations
from smpp.pdu.pdu_types import CommandStatus, EsmClass, EsmClassMode, EsmClassType, MessageState
from smpp.twisted.config import SMPPServerConfig
from smpp.twisted.protocol import DataHandlerResponse
from smpp.twisted.server import SMPPServerFactory, SMPPServerProtocol
from twisted.cred.error import UnauthorizedLogin
from twisted.internet import defer, reactor, task

PORT, LOG, SEED = sys.argv[1:]
# So many deliver_sm are unanswered at most.
WINDOW = 10
# It answers, and sends receipts, within these times by chance.
ANSWER_SECONDS = 0.02
RECEIPT_SECONDS = (0.1, 0.6)
# What is refused for now is sent again after this.
AGAIN_SECONDS = 0.2
ENQUIRE_SECONDS = 0.7
# To each such message there is a reply.
REPLIED_TO = re.compile(rb"message \d*4")
LATER = ("ESME_RX_T_APPN", "ESME_RTHROTTLED", "ESME_RMSGQFUL", "ESME_RSYSERR")

chance = random.Random(int(SEED))
log = open(LOG, "a+", encoding="utf-8")


def tell(**what):
    print(json.dumps(what), file=log, flush=True)


class Complaints(logging.Handler):
    """What the library itself complains of: a response to nothing, a PDU that it cannot read."""

    def emit(self, record):
        tell(wrong=record.getMessage())


class Connection(SMPPServerProtocol):
    """One connection."""

    last = 0
    enquiring = None

    def PDUReceived(self, pdu):
        if isinstance(pdu, operations.PDURequest):
            if pdu.seqNum != self.last + 1:
                tell(wrong=f"{pdu.id.name} {pdu.seqNum} after {self.last}")
            self.last = pdu.seqNum
            if pdu.id.name in ("enquire_link", "unbind"):
                tell(**{"enquired" if pdu.id.name == "enquire_link" else "unbound": True})
        super().PDUReceived(pdu)
        if pdu.id.name.startswith("bind_") and self.isBound():
            tell(bound=True)
            smsc.bound = self
            self.enquiring = task.LoopingCall(self.enquire)
            self.enquiring.start(ENQUIRE_SECONDS, now=False)
            smsc.pump()

    def connectionLost(self, reason):
        tell(closed=True)
        if self.enquiring:
            self.enquiring.stop()
        if smsc.bound is self:
            smsc.bound = None
        self.cancelOutboundTransactions(ConnectionError("the connection is gone"))
        super().connectionLost(reason)

    def enquire(self):
        answered = self.sendRequest(operations.EnquireLink(), timeout=20)
        answered.addCallbacks(lambda _: tell(enquiry_answered=True), lambda _: None)


class Factory(SMPPServerFactory):
    """Knows who may bind."""

    protocol = Connection

    def login(self, system_id, password, client_ip_address):
        if (system_id, password) != ("tandem", "secret"):
            tell(wrong=f"a bind of {system_id}")
            raise UnauthorizedLogin()
        return defer.succeed((None, None, None))


class Smsc:
    """What is bound, and what is owed to it."""

    def __init__(self):
        self.bound, self.ready, self.unanswered, self.number = None, [], 0, 0

    def take(self, system_id, connection, pdu):
        """A submit_sm: answered after a while."""
        if pdu.id.name != "submit_sm":
            tell(wrong=f"{pdu.id.name} {pdu.seqNum}")
        self.number += 1
        content = pdu.params.get("message_payload") or pdu.params["short_message"] or b""
        source, destination = pdu.params["source_addr"].decode(), pdu.params["destination_addr"].decode()
        name = f"{os.getpid()}-{self.number}"
        message = {"took": name, "source": source, "destination": destination, "content": content.hex()}
        tell(**message)
        self.owe(message, chance.uniform(*RECEIPT_SECONDS))
        if REPLIED_TO.fullmatch(content):
            text = b"reply to " + content
            self.send_after(chance.uniform(0, RECEIPT_SECONDS[1]), {"replied": text.decode()}, message, short_message=text)
        response = DataHandlerResponse(CommandStatus.ESME_ROK, message_id=name.encode())
        return task.deferLater(reactor, chance.uniform(0, ANSWER_SECONDS), lambda: response)

    def owe(self, message, seconds):
        """A receipt, after a while."""
        name = message["took"].encode()
        dates = b"submit date:2601011200 done date:2601011201"
        parameters = {
            "esm_class": EsmClass(EsmClassMode.DEFAULT, EsmClassType.SMSC_DELIVERY_RECEIPT),
            "short_message": b"id:%s sub:001 dlvrd:001 %s stat:DELIVRD err:000 text:" % (name, dates),
            "receipted_message_id": name,
            "message_state": MessageState.DELIVERED,
        }
        self.send_after(seconds, {"receipted": message["took"]}, message, **parameters)

    def send_after(self, seconds, told, message, **parameters):
        """Sends a deliver_sm after a while, from where the message went to where it came from."""
        parameters["source_addr"] = message["destination"].encode()
        parameters["destination_addr"] = message["source"].encode()
        reactor.callLater(seconds, self.send, told, parameters)

    def send(self, told, parameters):
        self.ready.append((told, parameters))
        self.pump()

    def pump(self):
        """Sends what is ready, as far as the window has room."""
        while self.bound and self.unanswered < WINDOW and self.ready:
            told, parameters = self.ready.pop(0)
            self.unanswered += 1
            answered = self.bound.sendDataRequest(operations.DeliverSM(**parameters))
            answered.addBoth(self.answered, told, parameters)

    def answered(self, result, told, parameters):
        """A deliver_sm_resp, of whatever status, or the end of the connection."""
        self.unanswered -= 1
        answer = result if not hasattr(result, "value") else result.value
        status = answer.response.status.name if hasattr(answer, "response") else None
        number = constants.command_status_name_map.get(status)
        if status is None:
            self.ready.insert(0, (told, parameters))
        elif status in LATER:
            tell(later=number)
            reactor.callLater(AGAIN_SECONDS, self.send, told, parameters)
        else:
            tell(**told, status=number)
        reactor.callLater(0, self.pump)


def main():
    logging.getLogger().addHandler(Complaints(logging.CRITICAL))
    log.seek(0)
    before = [json.loads(line) for line in log]
    receipted = {line.get("receipted") for line in before}
    for line in before:
        if "took" in line and line["took"] not in receipted:
            smsc.owe(line, chance.uniform(0, RECEIPT_SECONDS[1]))
    config = SMPPServerConfig(systems={"tandem": {"max_bindings": 1}}, msgHandler=smsc.take, enquireLinkTimerSecs=0)
    reactor.listenTCP(int(PORT), Factory(config, None), interface="127.0.0.1")
    tell(listening=True)
    reactor.run()


smsc = Smsc()
main()
