// An SMSC made of npm's smpp: it takes what is submitted, answers in whatever order, sends receipts and replies, and writes down
// what it saw.
//
// `smsc.js PORT LOG SEED`. LOG gets a line of JSON for each thing that happens; that a message was taken stands there before the
// peer can know of it. One that was killed goes on from what is there.
'use strict';

const fs = require('fs');
const smpp = require('smpp');

const [port, log, seed] = process.argv.slice(2);

// So many deliver_sm are unanswered at most.
const WINDOW = 10;
// It answers, and sends receipts, within these times by chance.
const ANSWER_MS = 20;
const RECEIPT_MS = [100, 600];
// What is refused for now is sent again after this.
const AGAIN_MS = 200;
const ENQUIRE_MS = 700;
// To each such message there is a reply.
const REPLIED_TO = /^message \d*4$/;

const LATER = [smpp.ESME_RX_T_APPN, smpp.ESME_RTHROTTLED, smpp.ESME_RMSGQFUL, smpp.ESME_RSYSERR];

// What is compared is bytes: nothing is decoded.
smpp.filters.message.decode = (value) => value;

let state = Number(seed) | 1;
// By chance below a number; the same chance for the same seed.
function chance(below) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

const seen = fs.openSync(log, 'a+');
const tell = (what) => fs.writeSync(seen, JSON.stringify(what) + '\n');
const wrong = (what) => tell({ wrong: what });

// What waits for the window, or for a bind.
const ready = [];
let bound = null;
let number = 0;

// What is sent back for a message.
class Delivery {
  constructor(told, parameters) {
    Object.assign(this, { told, parameters });
  }

  static receipt({ took, source, destination }) {
    const text = `id:${took} sub:001 dlvrd:001 submit date:2601011200 done date:2601011201 stat:DELIVRD err:000 text:`;
    const parameters = { source_addr: destination, destination_addr: source, esm_class: 4, short_message: text };
    return new Delivery({ receipted: took }, { ...parameters, receipted_message_id: took, message_state: 2 });
  }

  static reply({ source, destination, content }) {
    const text = `reply to ${Buffer.from(content, 'hex')}`;
    return new Delivery({ replied: text }, { source_addr: destination, destination_addr: source, short_message: text });
  }

  sendAfter(ms) {
    setTimeout(() => {
      ready.push(this);
      bound?.pump();
    }, ms);
  }
}

// One connection.
class Connection {
  constructor(session) {
    Object.assign(this, { session, last: 0, unanswered: new Map() });
    session.on('pdu', (pdu) => (pdu.isResponse() ? this.response(pdu) : this.request(pdu)));
    session.on('error', (error) => wrong(String(error)));
    session.on('close', () => {
      clearInterval(this.enquiring);
      tell({ closed: true });
      if (bound === this) bound = null;
      for (const { delivery } of this.unanswered.values()) if (delivery) ready.unshift(delivery);
    });
  }

  request(pdu) {
    if (pdu.sequence_number !== this.last + 1) wrong(`${pdu.command} ${pdu.sequence_number} after ${this.last}`);
    this.last = pdu.sequence_number;
    if (pdu.command === 'submit_sm' && bound === this) {
      this.take(pdu);
    } else if (pdu.command === 'enquire_link') {
      tell({ enquired: true });
      this.session.send(pdu.response());
    } else if (pdu.command === 'bind_transceiver' && bound === null) {
      const known = pdu.system_id === 'tandem' && pdu.password === 'secret';
      if (!known) wrong(`a bind of ${pdu.system_id}`);
      this.session.send(pdu.response({ command_status: known ? 0 : smpp.ESME_RINVPASWD, system_id: 'smsc' }));
      tell({ bound: true });
      bound = this;
      this.enquiring = setInterval(() => this.ask('enquire_link', {}), ENQUIRE_MS);
      this.pump();
    } else if (pdu.command === 'unbind') {
      tell({ unbound: true });
      this.session.send(pdu.response());
    } else {
      wrong(`${pdu.command} ${pdu.sequence_number}`);
    }
  }

  take(pdu) {
    const content = (pdu.message_payload ?? pdu.short_message).toString('hex');
    const [source, destination] = [pdu.source_addr, pdu.destination_addr];
    const message = { took: `${process.pid}-${++number}`, source, destination, content };
    tell(message);
    setTimeout(() => this.session.send(pdu.response({ message_id: message.took })), chance(ANSWER_MS));
    owe(message);
  }

  ask(command, parameters, delivery) {
    const pdu = new smpp.PDU(command, parameters);
    if (!this.session.send(pdu)) return delivery && ready.unshift(delivery);
    return this.unanswered.set(pdu.sequence_number, { command, delivery });
  }

  // Sends what is ready, as far as the window has room.
  pump() {
    while (this.unanswered.size < WINDOW && ready.length > 0 && this.session.socket.writable) {
      const delivery = ready.shift();
      this.ask('deliver_sm', delivery.parameters, delivery);
    }
  }

  response(pdu) {
    const asked = this.unanswered.get(pdu.sequence_number);
    this.unanswered.delete(pdu.sequence_number);
    if (asked === undefined || `${asked.command}_resp` !== pdu.command) {
      wrong(`${pdu.command} ${pdu.sequence_number}, status ${pdu.command_status}`);
    } else if (LATER.includes(pdu.command_status)) {
      tell({ later: pdu.command_status });
      asked.delivery?.sendAfter(AGAIN_MS);
    } else if (asked.delivery) {
      tell({ ...asked.delivery.told, status: pdu.command_status });
    } else {
      tell({ enquiry_answered: true });
    }
    this.pump();
  }
}

// A receipt, and to some messages a reply.
function owe(message) {
  const [from, to] = RECEIPT_MS;
  Delivery.receipt(message).sendAfter(from + chance(to - from));
  if (REPLIED_TO.test(Buffer.from(message.content, 'hex'))) Delivery.reply(message).sendAfter(chance(to));
}

// What the one before has taken, and could not tell of any more.
const before = fs.readFileSync(log, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
const told = new Set(before.map(({ receipted }) => receipted));
before.filter(({ took }) => took && !told.has(took)).forEach((message) => Delivery.receipt(message).sendAfter(chance(RECEIPT_MS[1])));

smpp.createServer((session) => new Connection(session)).listen(Number(port), '127.0.0.1', () => tell({ listening: true }));
